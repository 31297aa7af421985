using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Files of other programs that hold steering vectors or maps.</summary>
public enum ExchangeFormat
{
    /// <summary>A control vector of llama.cpp or repeng: GGUF, tensors <c>direction.N</c>, for the output of block N from 0 on.</summary>
    Gguf,

    /// <summary>Safetensors with a vector a layer, as of the Python package steering-vectors.</summary>
    SteeringVectors,

    /// <summary>The state of ml-act's hooks, converted to safetensors by <c>tools/mlact_to_safetensors.py</c>.</summary>
    MlAct,
}

/// <summary>Blocks from a first to a last, both included, counted from 0.</summary>
/// <param name="First">The first.</param>
/// <param name="Last">The last.</param>
public sealed record LayerRange(int First, int Last)
{
    /// <summary>Reads <c>A-B</c>, or <c>A</c> for one block.</summary>
    /// <exception cref="OnnxException">It is no such range.</exception>
    public static LayerRange Parse(string text)
    {
        var parts = text.Split('-');
        return parts.Length <= 2 && Number(parts[0]) is { } first && Number(parts[^1]) is { } last && first <= last ? new LayerRange(first, last)
            : throw new OnnxException($"'{text}' is no range of layers; two numbers from 0 on, as 5-20, or one were expected.");

        static int? Number(string part) => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
    }

    /// <summary>Whether a block lies in the range.</summary>
    public bool Contains(int layer) => layer >= First && layer <= Last;

    /// <summary>The range as <see cref="Parse"/> reads it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}");
}

/// <summary>How a file is made a map.</summary>
public sealed record ImportOptions
{
    /// <summary>The format; null to recognise it.</summary>
    public ExchangeFormat? Format { get; init; }

    /// <summary>What vectors are multiplied by; ml-act's states are maps, which the strength scales.</summary>
    public float Coefficient { get; init; } = 1;

    /// <summary>Which blocks' vectors are taken; null for all.</summary>
    public LayerRange? Layers { get; init; }

    /// <summary>The sites that numbered vectors are for, with <c>{0}</c> for the number, as <c>model.layers.{0}.mlp</c>; null for the blocks' outputs.</summary>
    public string? Site { get; init; }

    /// <summary>Of an ml-act state, the method: <c>linear_ot</c>, <c>mean_ot</c>, <c>gaussian_ot</c>, <c>aura</c>; null where the file says it.</summary>
    public string? Method { get; init; }

    /// <summary>Of an ml-act state, the band whose bounds are taken, as <c>q_0_100</c>, or <c>q_all</c>; null where the file has none.</summary>
    public string? Band { get; init; }
}

/// <summary>Turns files of other programs into steering maps, and maps into such files.</summary>
public static class MapExchange
{
    /// <summary>Tells a file's format by its first bytes and its tensors' names.</summary>
    /// <exception cref="OnnxException">It cannot be read, is a pickle, or a map already.</exception>
    public static ExchangeFormat FormatOf(string path)
    {
        var start = Start(path);
        if (GgufReader.Is(start) || path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
            return ExchangeFormat.Gguf;
        // Zip files and pickles of protocol 2 and later: what torch.save writes.
        if (start is [(byte)'P', (byte)'K', ..] or [0x80, >= 2 and <= 5, ..])
            throw new OnnxException($"'{path}' is a pickle, as torch.save writes them; these can run any program and are not read. Convert it where it was made: tools/mlact_to_safetensors.py for ml-act's states, safetensors.torch.save_file for vectors.");
        using var file = SafetensorsFile.Open(path);
        if (file.Metadata.TryGetValue(MetadataReader.KindKey, out var kind))
            throw new OnnxException($"'{path}' is a file of this program already ('{kind}'); it needs no import.");
        return ActStateFile.Is(file) ? ExchangeFormat.MlAct : ExchangeFormat.SteeringVectors;
    }

    /// <summary>
    /// Makes a map of a model's sites. A vector v becomes <c>w = 1</c>, <c>b = coefficient * v</c>; the sites stand in the order of
    /// execution, the fingerprint is the model's, and the provenance says what the map was made from.
    /// </summary>
    /// <exception cref="OnnxException">The file is not valid, is for other blocks or channels than the model's, or would change nothing.</exception>
    public static SteeringMap Import(string path, Model model, ImportOptions? options = null)
    {
        options ??= new ImportOptions();
        var format = options.Format ?? FormatOf(path);
        CheckOptions(format, options);
        var table = SiteTable.Of(model);
        var (sites, provenance) = format == ExchangeFormat.MlAct ? OfState(path, model, table, options) : OfVectors(path, model, table, format, options);
        if (sites.GroupBy(site => site.Site.Order).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new OnnxException($"'{path}' has two entries for one place: '{string.Join("' and '", twice.Select(site => site.Site.Name))}' of {model.Source.Name}.");
        var map = new SteeringMap(sites.OrderBy(site => site.Site.Order).Select(site => new SiteTransport(site.Site.Name, site.Transport)),
            provenance with { Tool = Provenance.ThisTool, Fingerprint = Origin.Of(model, table) });
        return !map.IsIdentity ? map
            : throw new OnnxException($"The map of '{path}' would change nothing: {(options.Coefficient == 0 ? "the coefficient is 0" : "all its vectors are 0, or its scales 1")}.");
    }

    /// <summary>Writes a map of shifts as a file of another program.</summary>
    /// <param name="path">The file to write.</param>
    /// <param name="map">The map: at every site w is 1, without bounds; for GGUF at outputs of blocks from 1 on.</param>
    /// <param name="model">The model whose sites it names.</param>
    /// <param name="format">GGUF or steering vectors.</param>
    /// <param name="layers">Which blocks are written; null for all sites.</param>
    /// <param name="force">Take a map that was fitted on another model.</param>
    /// <returns>How many vectors were written.</returns>
    /// <exception cref="OnnxException">The format cannot hold the map; the message says why and what to do.</exception>
    public static int Export(string path, SteeringMap map, Model model, ExchangeFormat format, LayerRange? layers = null, bool force = false)
    {
        var table = SiteTable.Of(model);
        if (!force)
            Origin.Require(model, table, Origin.Of(model, table), map.Provenance.Fingerprint);
        var blocks = new BlockSites(model, table);
        var all = map.Sites.Select(entry => (entry.Site, Layer: blocks.NumberOf(table.Find(entry.Site)), entry.Transport)).ToList();
        var chosen = layers is null ? all : [.. all.Where(entry => entry.Layer is { } layer && layers.Contains(layer))];
        if (chosen.Count == 0)
            throw new OnnxException($"No site of the map is the output of a block from {layers!.First} to {layers.Last}; it has '{string.Join("', '", all.Take(8).Select(entry => entry.Site))}'{(all.Count > 8 ? ", ..." : "")}.");
        foreach (var (site, layer, transport) in chosen)
        {
            if (transport.Support is not null || transport.W.Any(w => w != 1))
                throw new OnnxException($"The map at '{site}' {(transport.Support is not null ? "has bounds" : "scales channels")}; {NameOf(format)} files hold shifts alone. Fit a shift, as by --method mean without bounds, or choose other blocks by --layers.");
            if (format == ExchangeFormat.Gguf && layer is null)
                throw new OnnxException($"'{site}' is no output of a block of {model.Source.Name}, the only places that llama.cpp steers. Fit the map at the blocks ('model.layers.N'), choose those it has by --layers, or export as steering-vectors.");
        }
        if (format == ExchangeFormat.Gguf)
            ControlVectorFile.Save(path, chosen.Select(entry => (entry.Layer!.Value, entry.Transport.B)), DecoderConfig.Of(model).ModelType ?? "unknown");
        else if (format == ExchangeFormat.SteeringVectors)
            SteeringVectorFile.Save(path, chosen.Select(entry => (entry.Site, entry.Layer, entry.Transport.B)));
        else
            throw new OnnxException($"Maps are not written as {NameOf(format)}; choose gguf or steering-vectors.");
        return chosen.Count;
    }

    /// <summary>A format's name, as <c>steering-vectors</c>.</summary>
    public static string NameOf(ExchangeFormat format) => format switch
    {
        ExchangeFormat.Gguf => "gguf",
        ExchangeFormat.SteeringVectors => "steering-vectors",
        _ => "ml-act",
    };

    private static void CheckOptions(ExchangeFormat format, ImportOptions options)
    {
        if (!float.IsFinite(options.Coefficient))
            throw new OnnxException($"The coefficient is {options.Coefficient}; a finite number was expected.");
        if (options.Site is { } site && !site.Contains(BlockSites.Number, StringComparison.Ordinal))
            throw new OnnxException($"The site pattern '{site}' has no '{BlockSites.Number}', which stands for the block's number; write it as 'model.layers.{BlockSites.Number}.mlp'.");
        if (format == ExchangeFormat.MlAct && (options.Coefficient != 1 || options.Layers is not null || options.Site is not null))
            throw new OnnxException("An ml-act state is a map and names its modules: it takes no coefficient (patch with a strength instead), layers or site pattern.");
        if (format != ExchangeFormat.MlAct && (options.Method ?? options.Band) is not null)
            throw new OnnxException($"{NameOf(format)} files hold vectors; method and band are options of ml-act.");
    }

    private static (List<(Site Site, Transport Transport)> Sites, Provenance Provenance) OfVectors(string path, Model model, SiteTable table, ExchangeFormat format, ImportOptions options)
    {
        var file = format == ExchangeFormat.Gguf ? ControlVectorFile.Load(path) : SteeringVectorFile.Load(path);
        var blocks = new BlockSites(model, table);
        // Rows of hidden states that begin with the embeddings would all be one block off.
        if (file.IsMatrix && blocks.Count(options.Site) is var count && file.Vectors.Length != count)
            throw new OnnxException($"'{path}' holds a matrix of {file.Vectors.Length} rows, but {model.Source.Name} has {count} {(options.Site is { } pattern ? $"sites '{pattern}'" : "blocks")}; row L is taken for block L. Hidden states have one row more, the embeddings first: leave that out.");
        var chosen = options.Layers is { } range ? file.Vectors.Where(vector => vector.Layer is { } layer && range.Contains(layer)).ToList() : [.. file.Vectors];
        if (chosen.Count == 0)
            throw new OnnxException($"'{path}' holds no vector for the layers {options.Layers}; it has '{string.Join("', '", file.Vectors.Take(8).Select(vector => vector.Name))}'{(file.Vectors.Length > 8 ? ", ..." : "")}.");
        var sites = chosen.Select(vector =>
        {
            var site = blocks.SiteOf(vector, path, file.Module, options.Site);
            return (site, Transport.Of(site.Name, [.. Enumerable.Repeat(1f, site.Channels)], Scaled(vector, path, options.Coefficient)));
        }).ToList();
        var hint = file.Hint is null ? "" : $", for '{file.Hint}'";
        return (sites, new Provenance("vector", MadeFrom: $"{Source(format, path)}, coefficient {options.Coefficient.ToString("R", CultureInfo.InvariantCulture)}{hint}"));
    }

    private static ImmutableArray<float> Scaled(LayerVector vector, string path, float coefficient)
    {
        ImmutableArray<float> shift = [.. vector.Values.Select(value => coefficient * value)];
        return shift.All(float.IsFinite) ? shift
            : throw new OnnxException($"'{vector.Name}' of '{path}' times {coefficient} is {shift.First(value => !float.IsFinite(value))} at {shift.IndexOf(shift.First(value => !float.IsFinite(value)))}; finite numbers were expected.");
    }

    private static (List<(Site Site, Transport Transport)> Sites, Provenance Provenance) OfState(string path, Model model, SiteTable table, ImportOptions options)
    {
        var (method, band, states) = ActStateFile.Load(path, options.Method, options.Band);
        var sites = states.Select(state =>
        {
            // 'module:0' is the first element of what a module returns, which is the module's site where that has no other.
            var site = state.Site.EndsWith(":0", StringComparison.Ordinal) && !table.Sites.Any(known => known.Names.Contains(state.Site)) ? table.Find(state.Site[..^2]) : table.Find(state.Site);
            return site.Channels == state.Transport.Channels ? (site, state.Transport)
                : throw new OnnxException($"'{state.Site}' of '{path}' has {state.Transport.Channels} channels, but '{site.Name}' of {model.Source.Name} has {site.Channels}: it was made for another model.");
        }).ToList();
        return (sites, new Provenance(method, Band: band, MadeFrom: Source(ExchangeFormat.MlAct, path)));
    }

    private static string Source(ExchangeFormat format, string path)
    {
        using var stream = File.OpenRead(path);
        return $"{NameOf(format)} {Path.GetFileName(path)}, sha256 {Convert.ToHexStringLower(SHA256.HashData(stream))}";
    }

    private static byte[] Start(string path)
    {
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: 0 })
                throw new OnnxException($"'{path}' is empty, or no regular file; vectors or maps were expected.");
            using var stream = File.OpenRead(path);
            var bytes = new byte[4];
            return bytes[..stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)];
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException)
        {
            throw new OnnxException(Directory.Exists(path) ? $"'{path}' is a folder; a file of vectors or maps was expected." : $"'{path}' cannot be read: {cause.Message}", cause);
        }
    }
}
