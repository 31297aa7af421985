using System.Text.Json;

namespace OnnxSteer.Tokenizers;

/// <summary>Reads a tokenizer.json, which is taken to be hostile until read.</summary>
internal static class TokenizerFile
{
    private const string FileName = "tokenizer.json";
    private const long MaximumSize = 1L << 28;

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
        try
        {
            using var stream = File.OpenRead(file);
            if (stream.Length > MaximumSize)
                throw new TokenizerException($"{stream.Length} bytes; at most {MaximumSize} are taken.");
            using var document = JsonDocument.Parse(stream, Options);
            return Read(new JsonPlace("", document.RootElement));
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
        var added = new AddedVocabulary(AddedTokens(root["added_tokens"], model), normalizer);
        return new Pipeline(
            added,
            ComponentParser.PreTokenizer(root["pre_tokenizer"]),
            model,
            ComponentParser.PostProcessor(root["post_processor"], id => added.ById.ContainsKey(id) || model.IdToToken(id) is not null),
            ComponentParser.Decoder(root["decoder"]));
    }

    private static List<AddedToken> AddedTokens(JsonPlace place, IModel model)
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
            if (model.TokenToId(token.Content) is { } known && known != token.Id)
                throw item.Error($"'{token.Content}' has the id {token.Id} here and {known} in the model's vocabulary");
            if (model.IdToToken(token.Id) is { } other && other != token.Content)
                throw item.Error($"the id {token.Id} of '{token.Content}' is that of '{other}' in the model's vocabulary");
            tokens.Add(token);
        }
        return tokens;
    }
}

/// <summary>The components of a tokenizer, in the order in which a text meets them; the normalizer is within the first.</summary>
internal sealed record Pipeline(
    AddedVocabulary AddedVocabulary, IPreTokenizer? PreTokenizer, IModel Model, IPostProcessor? PostProcessor, IDecoder? Decoder);
