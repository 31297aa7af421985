namespace OnnxSteer.Tokenizers;

/// <summary>
/// A tokenizer of Hugging Face's tokenizers library, read from a <c>tokenizer.json</c>. It gives that library's ids and
/// text; a file with a part that is not supported does not load. Safe for use by several threads at once.
/// </summary>
/// <remarks>
/// Truncation and padding that a file asks for are left out, as in transformers: a text is encoded whole.
/// A lone surrogate is read as U+FFFD.
/// </remarks>
public sealed class Tokenizer
{
    private readonly Pipeline pipeline;

    private Tokenizer(Pipeline pipeline)
    {
        this.pipeline = pipeline;
        VocabularySize = pipeline.Model.VocabularySize
            + pipeline.AddedVocabulary.ById.Values.Count(token => pipeline.Model.TokenToId(token.Content) is null);
    }

    /// <summary>How many tokens there are, added tokens included. Where ids have gaps, the largest id is not below this.</summary>
    public int VocabularySize { get; }

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="fileOrFolder">A <c>tokenizer.json</c>, or a folder that holds one or whose parent does.</param>
    /// <exception cref="TokenizerException">There is no such file, or it is broken, or it has a part that is not supported.</exception>
    public static Tokenizer Load(string fileOrFolder) => new(TokenizerFile.Read(TokenizerFile.Find(fileOrFolder)));

    /// <summary>The tokens of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">Whether the post-processor adds its tokens, such as one for the beginning of the text.</param>
    /// <exception cref="TokenizerException">The file's regular expression takes too long, or a character has no token.</exception>
    public TokenEncoding Encode(string text, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Complete([EncodeSequence(text, typeId: 0)], addSpecialTokens);
    }

    /// <summary>The tokens of a pair of texts.</summary>
    /// <param name="text">The first text.</param>
    /// <param name="pair">The second text.</param>
    /// <param name="addSpecialTokens">Whether the post-processor adds its tokens, such as one between the texts.</param>
    /// <exception cref="TokenizerException">The file's regular expression takes too long, or a character has no token.</exception>
    public TokenEncoding Encode(string text, string pair, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(pair);
        return Complete([EncodeSequence(text, typeId: 0), EncodeSequence(pair, typeId: 1)], addSpecialTokens);
    }

    /// <summary>The text of ids; ids that have no token are left out.</summary>
    /// <param name="ids">The ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens are left out too.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        var tokens = new List<string>(ids.Length);
        foreach (var id in ids)
            if (IsDecoded(id, skipSpecialTokens))
                tokens.Add(IdToToken(id)!);
        return pipeline.Decoder is { } decoder ? string.Concat(decoder.Decode(tokens)) : string.Join(' ', tokens);
    }

    /// <summary>A decoder for ids that come one by one.</summary>
    /// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
    /// <param name="wholeWords">Whether text is held back until a word is whole.</param>
    public TextStreamer Stream(bool skipSpecialTokens = true, bool wholeWords = false) => new(this, skipSpecialTokens, wholeWords);

    /// <summary>The id of a token, or null if there is no such token.</summary>
    public int? TokenToId(string token) => pipeline.AddedVocabulary.TokenToId(token) ?? pipeline.Model.TokenToId(token);

    /// <summary>The token of an id, or null if there is no such id.</summary>
    public string? IdToToken(int id) =>
        pipeline.AddedVocabulary.ById.TryGetValue(id, out var token) ? token.Content : pipeline.Model.IdToToken(id);

    /// <summary>Whether an id is that of a special token.</summary>
    public bool IsSpecial(int id) => pipeline.AddedVocabulary.ById.TryGetValue(id, out var token) && token.Special;

    /// <summary>Whether an id has any part in the decoded text.</summary>
    internal bool IsDecoded(int id, bool skipSpecialTokens) => IdToToken(id) is not null && !(skipSpecialTokens && IsSpecial(id));

    private EncodedSequence EncodeSequence(string text, int typeId)
    {
        var encoded = new List<EncodedToken>();
        var tokens = new List<ModelToken>();
        foreach (var (part, added) in pipeline.AddedVocabulary.Split(NormalizedString.Of(text)))
        {
            if (added is not null)
            {
                var (start, end) = part.OriginalRange(0, part.Length);
                encoded.Add(new EncodedToken(added.Id, part.Span.ToString(), start, end, typeId));
                continue;
            }
            foreach (var piece in pipeline.PreTokenizer?.PreTokenize([part]) ?? [part])
            {
                tokens.Clear();
                pipeline.Model.Tokenize(piece.Span, tokens);
                foreach (var token in tokens)
                {
                    var (start, end) = piece.OriginalRange(token.Start, token.End);
                    encoded.Add(new EncodedToken(token.Id, pipeline.Model.IdToToken(token.Id)!, start, end, typeId));
                }
            }
        }
        return new EncodedSequence(text, encoded);
    }

    private TokenEncoding Complete(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens)
    {
        var tokens = (pipeline.PostProcessor?.Process(sequences, addSpecialTokens) ?? sequences).SelectMany(sequence => sequence.Tokens).ToList();
        return new TokenEncoding(
            [.. tokens.Select(token => token.Id)],
            [.. tokens.Select(token => token.Token)],
            [.. tokens.Select(token => (token.Start, token.End))],
            [.. tokens.Select(token => token.TypeId)],
            [.. tokens.Select(token => token.IsSpecial)]);
    }
}
