using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// The state of ml-act's hooks as safetensors. ml-act (<c>act/hooks/intervention_hook.py</c>) saves each hook's state
/// dictionary by <c>torch.save</c>, one pickle a module, which is not read here; <c>tools/mlact_to_safetensors.py</c> turns them into one
/// file with the tensors <c>SITE/KEY</c>:
/// <list type="bullet">
/// <item><c>linear_ot</c>: <c>w</c>, <c>b</c>;</item>
/// <item><c>mean_ot</c>, <c>gaussian_ot</c>: <c>mu1</c>, <c>mu2</c>, <c>std1</c>, <c>std2</c>, of the source and the target; which of the
/// two methods it was does not show in the state, so the file's metadata say it under <c>method</c>, or the caller does;</item>
/// <item><c>aura</c>: <c>auroc</c> or <c>alpha</c>;</item>
/// <item>bounds, for all but aura: <c>SITE/BAND/lo</c>, <c>SITE/BAND/hi</c>, as <c>q_0_100</c>. <c>q_all</c> needs none.</item>
/// </list>
/// A file of several methods has them in front: <c>METHOD/SITE/KEY</c>. Other keys are not read.
/// </summary>
internal static class ActStateFile
{
    // The reference leaves channels alone whose spread is not above this, for mean_ot too.
    private const double LeastSpread = 1e-4;
    private static readonly ImmutableDictionary<string, string[]> KeysOf = new Dictionary<string, string[]>
    {
        ["linear_ot"] = ["w"],
        ["mean_ot"] = ["mu1"],
        ["gaussian_ot"] = ["mu1"],
        ["aura"] = ["alpha", "auroc"],
    }.ToImmutableDictionary();

    private sealed record Entry(string Method, string Site, string Key, string Name);

    /// <summary>Whether tensors are named as in such a file.</summary>
    public static bool Is(SafetensorsFile file) => file.Tensors.Any(tensor => Parse(tensor.Name) is { } entry && KeysOf.Values.Any(keys => keys.Contains(entry.Key)));

    /// <summary>Reads the transports of one method.</summary>
    /// <param name="path">The file.</param>
    /// <param name="method">Which method; null where the file has one and says which.</param>
    /// <param name="band">Which bounds; null where the file has none.</param>
    /// <returns>The method, as maps name it; the band; each module's transport.</returns>
    public static (string Method, string Band, ImmutableArray<SiteTransport> Sites) Load(string path, string? method, string? band)
    {
        using var file = SafetensorsFile.Open(path);
        var entries = file.Tensors.Select(tensor => Parse(tensor.Name)).OfType<Entry>().ToList();
        var (prefix, kind) = MethodOf(file, entries, method);
        var own = entries.Where(entry => entry.Method == prefix).ToList();
        var sites = own.Where(entry => KeysOf[kind].Contains(entry.Key)).Select(entry => entry.Site).Distinct().ToList();
        if (sites.Count == 0)
            throw new OnnxException($"'{path}' holds no module with '{string.Join("' or '", KeysOf[kind])}', which {kind} has. Its tensors are named SITE/KEY, or METHOD/SITE/KEY where there are several methods; see tools/mlact_to_safetensors.py.");
        var chosen = BandOf(path, own, kind, band);
        var reader = new Reader(file, prefix.Length == 0 ? "" : prefix + "/");
        return (kind.Replace("_ot", "", StringComparison.Ordinal), chosen, [.. sites.Select(site => new SiteTransport(site, reader.Transport(site, kind, chosen)))]);
    }

    private static Entry? Parse(string name)
    {
        var parts = name.Split('/');
        var method = parts.Length > 2 && KeysOf.ContainsKey(parts[0].Split('@')[0]) ? parts[0] : "";
        return (method.Length > 0 ? parts[1..] : parts) switch
        {
            [var site, var key] when site.Length > 0 => new Entry(method, site, key, name),
            [var site, var band, "lo" or "hi"] when site.Length > 0 => new Entry(method, site, band, name),
            _ => null,
        };
    }

    private static (string Prefix, string Kind) MethodOf(SafetensorsFile file, List<Entry> entries, string? asked)
    {
        var prefixes = entries.Select(entry => entry.Method).Distinct().ToList();
        var named = asked ?? (prefixes is [{ Length: > 0 } only] ? only : file.Metadata.GetValueOrDefault("method"));
        // Nothing but mean and Gaussian share their keys.
        if (named is null && prefixes is [""] && KeysOf.Where(pair => pair.Value.Any(key => entries.Exists(entry => entry.Key == key))).ToList() is [var single])
            named = single.Key;
        var list = string.Join(", ", prefixes.Any(prefix => prefix.Length > 0) ? prefixes : KeysOf.Keys.Order(StringComparer.Ordinal));
        if (named is null)
            throw new OnnxException($"'{file.Path}' does not say by which method it was made; name one of {list} (--method).");
        if (!KeysOf.ContainsKey(named.Split('@')[0]) || !prefixes.Contains(named) && !prefixes.Contains(""))
            throw new OnnxException($"'{file.Path}' holds no method '{named}'; it has one of {list}.");
        return (prefixes.Contains(named) ? named : "", named.Split('@')[0]);
    }

    private static string BandOf(string path, List<Entry> entries, string kind, string? asked)
    {
        var bands = kind == "aura" ? [] : entries.Where(entry => entry.Key.StartsWith("q_", StringComparison.Ordinal)).Select(entry => entry.Key).Distinct().ToList();
        var unbounded = Band.QAll.ToString();
        if (asked is null && bands.Count > 0)
            throw new OnnxException($"'{path}' holds bounds for {string.Join(", ", bands)}; name one, or {unbounded} for none (--band).");
        if (asked is not null && asked != unbounded && !bands.Contains(asked))
            throw new OnnxException($"'{path}' holds no bounds for the band '{asked}' of {kind}; it has {string.Join(", ", bands.Prepend(unbounded))}.");
        return asked ?? unbounded;
    }

    private sealed class Reader(SafetensorsFile file, string prefix)
    {
        public Transport Transport(string site, string kind, string band)
        {
            var (w, b) = Parameters(site, kind);
            if (band == Band.QAll.ToString())
                return OnnxSteer.Transport.Of(site, w, b);
            return OnnxSteer.Transport.Of(site, w, b, [.. Doubles($"{site}/{band}/lo", w.Length).Select(Support.RoundDown)], [.. Doubles($"{site}/{band}/hi", w.Length).Select(Support.RoundUp)]);
        }

        private (ImmutableArray<float> W, ImmutableArray<float> B) Parameters(string site, string kind)
        {
            switch (kind)
            {
                case "linear_ot":
                    var w = Singles($"{site}/w", null);
                    return ([.. w], [.. Singles($"{site}/b", w.Length)]);
                case "aura":
                    var alpha = file.Contains($"{prefix}{site}/alpha") ? Singles($"{site}/alpha", null) : Singles($"{site}/auroc", null).Select(auroc => auroc > 0.5f ? 1 - (2 * (auroc - 0.5f)) : 1);
                    ImmutableArray<float> scale = [.. alpha];
                    return (scale, [.. new float[scale.Length]]);
                default:
                    return Moments(site, isMean: kind == "mean_ot");
            }
        }

        // A channel that varies too little to be told apart from a dead one keeps its values.
        private (ImmutableArray<float> W, ImmutableArray<float> B) Moments(string site, bool isMean)
        {
            var mu1 = Singles($"{site}/mu1", null);
            var (mu2, std1, std2) = (Singles($"{site}/mu2", mu1.Length), Singles($"{site}/std1", mu1.Length), Singles($"{site}/std2", mu1.Length));
            var (w, b) = (new float[mu1.Length], new float[mu1.Length]);
            for (var c = 0; c < w.Length; c++)
            {
                var acts = std1[c] > LeastSpread && std2[c] > LeastSpread;
                w[c] = acts && !isMean ? std2[c] / std1[c] : 1;
                b[c] = acts ? (float)(mu2[c] - ((double)w[c] * mu1[c])) : 0;
            }
            return ([.. w], [.. b]);
        }

        private float[] Singles(string name, int? channels)
        {
            Check(name, channels);
            return file.ReadSingles(prefix + name);
        }

        private double[] Doubles(string name, int channels)
        {
            Check(name, channels);
            return file.ReadDoubles(prefix + name);
        }

        // PyTorch keeps some of them as [1, channels].
        private void Check(string name, int? channels)
        {
            var entry = file[prefix + name];
            if (entry.Shape.Count(size => size != 1) > 1 || channels is not null && entry.Count != channels)
                throw new OnnxException($"Tensor '{entry.Name}' of '{file.Path}' is {entry}; {(channels is null ? "one number a channel" : $"{channels} numbers, one a channel,")} was expected.");
        }
    }
}
