using System.Text.Json;

namespace OnnxSteer.Tokenizers;

/// <summary>Reads a tokenizer.json, which is taken to be hostile until read.</summary>
internal static class TokenizerFile
{
    private const string FileName = "tokenizer.json";
    private const long MaximumSize = 1L << 28;
    private const int MaximumPadding = 1 << 24;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64, AllowDuplicateProperties = false };

    /// <summary>The file to read: the given one, or that of a folder, or that of the folder's parent.</summary>
    public static string Find(string fileOrFolder)
    {
        if (File.Exists(fileOrFolder))
            return fileOrFolder;
        if (!Directory.Exists(fileOrFolder))
            throw new TokenizerException($"There is no file or folder '{fileOrFolder}'.");
        var folder = Path.GetFullPath(fileOrFolder);
        string[] places = [folder, Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(folder)) ?? folder];
        return places.Select(place => Path.Combine(place, FileName)).FirstOrDefault(File.Exists)
            ?? throw new TokenizerException($"Neither '{fileOrFolder}' nor the folder that holds it has a {FileName}.");
    }

    public static Pipeline Read(string file)
    {
        var pipeline = Parse(file, Read);
        var config = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, TokenizerConfig.FileName);
        return File.Exists(config) ? Parse(config, place => TokenizerConfig.Apply(place, pipeline)) : pipeline;
    }

    private static Pipeline Parse(string file, Func<JsonPlace, Pipeline> read)
    {
        try
        {
            using var stream = File.OpenRead(file);
            if (stream.Length > MaximumSize)
                throw new TokenizerException($"{stream.Length} bytes; at most {MaximumSize} are taken.");
            using var document = JsonDocument.Parse(stream, Options);
            return read(new JsonPlace("", document.RootElement));
        }
        catch (TokenizerException exception)
        {
            throw new TokenizerException($"{file}: {exception.Message}", exception);
        }
        catch (JsonException exception)
        {
            throw new TokenizerException($"{file}: not valid JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception)
        {
            // What the JSON reader says to a string that is no Unicode, such as half a surrogate pair.
            throw new TokenizerException($"{file}: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new TokenizerException($"{file}: cannot be read: {exception.Message}", exception);
        }
    }

    private static Pipeline Read(JsonPlace root)
    {
        if (root["version"] is { IsNull: false } version && version.Text() != "1.0")
            throw version.Error($"version '{version.Text()}' is not supported, only 1.0");
        var model = ComponentParser.Model(root["model"]);
        var normalizer = ComponentParser.Normalizer(root["normalizer"]);
        var added = new AddedVocabulary(AddedTokens(root["added_tokens"], model.Vocabulary), normalizer);
        return new Pipeline(
            added,
            ComponentParser.PreTokenizer(root["pre_tokenizer"]),
            model,
            ComponentParser.PostProcessor(root["post_processor"], id => added.ById.ContainsKey(id) || model.Vocabulary.TokenOf(id) is not null),
            ComponentParser.Decoder(root["decoder"]),
            Truncation(root["truncation"]),
            Padding(root["padding"]));
    }

    private static Truncation? Truncation(JsonPlace place) => place.IsNull ? null : new Truncation(
        place["max_length"].Number(int.MaxValue),
        place["strategy"].IsNull ? TruncationStrategy.LongestFirst : place["strategy"].Choice(
            ("LongestFirst", TruncationStrategy.LongestFirst), ("OnlyFirst", TruncationStrategy.OnlyFirst), ("OnlySecond", TruncationStrategy.OnlySecond)),
        Direction(place));

    private static Padding? Padding(JsonPlace place)
    {
        if (place.IsNull)
            return null;
        int? length = null;
        if (place["strategy"] is { Value.ValueKind: JsonValueKind.Object } strategy)
            length = strategy["Fixed"].Number(MaximumPadding);
        else if (place["strategy"].Text() != "BatchLongest")
            throw place["strategy"].Error("neither BatchLongest nor Fixed");
        var multiple = place["pad_to_multiple_of"];
        return new Padding(
            length,
            place["pad_id"].Number(ComponentParser.MaximumId),
            place["pad_token"].Text(),
            place["pad_type_id"].Number(int.MaxValue),
            Direction(place),
            multiple.IsNull ? 1 : Math.Max(1, multiple.Number(MaximumPadding)));
    }

    private static Side Direction(JsonPlace place) => place["direction"].IsNull ? Side.Right : place["direction"].Choice(("Right", Side.Right), ("Left", Side.Left));

    private static List<AddedToken> AddedTokens(JsonPlace place, Vocabulary vocabulary)
    {
        var tokens = new List<AddedToken>();
        if (place.IsNull)
            return tokens;
        var contents = new HashSet<string>(StringComparer.Ordinal);
        var ids = new HashSet<int>();
        foreach (var item in place.Items())
        {
            var token = new AddedToken(
                item["id"].Number(ComponentParser.MaximumId),
                item["content"].SomeText(),
                item["single_word"].Flag(ifMissing: false),
                item["lstrip"].Flag(ifMissing: false),
                item["rstrip"].Flag(ifMissing: false),
                item["normalized"].Flag(ifMissing: true),
                item["special"].Flag(ifMissing: false));
            if (!contents.Add(token.Content))
                throw item.Error($"the token '{token.Content}' is there twice");
            if (!ids.Add(token.Id))
                throw item.Error($"the id {token.Id} is there twice");
            if (vocabulary.IdOf(token.Content) is { } known && known != token.Id)
                throw item.Error($"'{token.Content}' has the id {token.Id} here and {known} in the model's vocabulary");
            if (vocabulary.TokenOf(token.Id) is { } other && other != token.Content)
                throw item.Error($"the id {token.Id} of '{token.Content}' is that of '{other}' in the model's vocabulary");
            tokens.Add(token);
        }
        return tokens;
    }
}

/// <summary>The components of a tokenizer, in the order in which a text meets them; the normalizer is within the first.</summary>
internal sealed record Pipeline(
    AddedVocabulary AddedVocabulary,
    IPreTokenizer? PreTokenizer,
    IModel Model,
    IPostProcessor? PostProcessor,
    IDecoder? Decoder,
    Truncation? Truncation,
    Padding? Padding)
{
    /// <summary>What tokenizer_config.json changed, a sentence each.</summary>
    public IReadOnlyList<string> Changes { get; init; } = [];

    /// <summary>The most tokens that the model takes, as tokenizer_config.json says; null where it does not.</summary>
    public int? ModelMaxLength { get; init; }

    /// <summary>The token of an id, or null if there is none.</summary>
    public string? TokenOf(int id) => AddedVocabulary.ById.TryGetValue(id, out var token) ? token.Content : Model.Vocabulary.TokenOf(id);

    /// <summary>The id of a token, or null if there is none.</summary>
    public int? IdOf(string token) => AddedVocabulary.TokenToId(token) ?? Model.Vocabulary.IdOf(token);
}
