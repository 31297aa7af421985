using System.Runtime.InteropServices;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// A tokenizer of Hugging Face's tokenizers library, read from a <c>tokenizer.json</c> and the <c>tokenizer_config.json</c> beside
/// it. It gives that library's ids, tokens, offsets and text. Safe for use by several threads at once.
/// </summary>
/// <remarks>
/// Encoding cuts and fills up texts as the file says; <see cref="WithoutLimits"/> gives a tokenizer that leaves them whole.
/// A lone surrogate is read as U+FFFD.
/// </remarks>
public sealed class Tokenizer
{
    private readonly Pipeline pipeline;
    private readonly bool specialAsText;

    private Tokenizer(Pipeline pipeline, bool specialAsText = false)
    {
        this.pipeline = pipeline;
        this.specialAsText = specialAsText;
    }

    /// <summary>How many tokens there are, added tokens included. Where ids have gaps, the largest id is not below this.</summary>
    public int VocabularySize => pipeline.Model.Vocabulary.Count
        + pipeline.AddedVocabulary.ById.Values.Count(token => pipeline.Model.Vocabulary.IdOf(token.Content) is null);

    /// <summary>How texts are cut, null where they are not.</summary>
    public Truncation? Truncation => pipeline.Truncation;

    /// <summary>How texts are filled up, null where they are not.</summary>
    public Padding? Padding => pipeline.Padding;

    /// <summary><c>model_max_length</c> of <c>tokenizer_config.json</c>; null where it says nothing.</summary>
    public int? ModelMaxLength => pipeline.ModelMaxLength;

    /// <summary>What <c>tokenizer_config.json</c> changed of what <c>tokenizer.json</c> says, a sentence each.</summary>
    public IReadOnlyList<string> ConfigChanges => pipeline.Changes;

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="fileOrFolder">A <c>tokenizer.json</c>, or a folder that holds one or whose parent does.</param>
    /// <exception cref="TokenizerException">There is no such file, or it is broken, or it has a part that is not known.</exception>
    public static Tokenizer Load(string fileOrFolder) => new(TokenizerFile.Read(TokenizerFile.Find(fileOrFolder)));

    /// <summary>The same tokenizer, but texts are neither cut nor filled up: for fitting, generating and scoring.</summary>
    public Tokenizer WithoutLimits() => new(pipeline with { Truncation = null, Padding = null }, specialAsText);

    /// <summary>The same tokenizer, but texts are cut to so many tokens, special tokens included; otherwise as the file says.</summary>
    public Tokenizer WithMaxLength(int maxLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxLength);
        return new(pipeline with { Truncation = (pipeline.Truncation ?? new Truncation(maxLength)) with { MaxLength = maxLength } }, specialAsText);
    }

    /// <summary>The same tokenizer, but a special token's string in a text is text like any other.</summary>
    public Tokenizer WithSpecialTokensAsText() => new(pipeline, specialAsText: true);

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
    public int? TokenToId(string token) => pipeline.IdOf(token);

    /// <summary>The token of an id, or null if there is no such id.</summary>
    public string? IdToToken(int id) => pipeline.TokenOf(id);

    /// <summary>Whether an id is that of a special token.</summary>
    public bool IsSpecial(int id) => pipeline.AddedVocabulary.ById.TryGetValue(id, out var token) && token.Special;

    /// <summary>Whether an id has any part in the decoded text.</summary>
    internal bool IsDecoded(int id, bool skipSpecialTokens) => IdToToken(id) is not null && !(skipSpecialTokens && IsSpecial(id));

    private EncodedSequence EncodeSequence(string text, int typeId)
    {
        var encoded = new List<EncodedToken>();
        var tokens = new List<ModelToken>();
        foreach (var (part, added) in pipeline.AddedVocabulary.Split(NormalizedString.Of(text), specialAsText))
        {
            if (added is not null)
            {
                var (start, end) = part.OriginalRange(0, part.Length);
                encoded.Add(new EncodedToken(added.Id, part.Span.ToString(), start, end));
                continue;
            }
            if (part.IsEmpty)
                continue;
            foreach (var piece in pipeline.PreTokenizer?.PreTokenize([part]) ?? [part])
                Encode(piece, tokens, encoded);
        }
        return new EncodedSequence(text, encoded, typeId);
    }

    private void Encode(NormalizedString piece, List<ModelToken> tokens, List<EncodedToken> encoded)
    {
        tokens.Clear();
        pipeline.Model.Tokenize(piece.Span, tokens);
        var names = pipeline.Model.Vocabulary.Names;
        foreach (var token in CollectionsMarshal.AsSpan(tokens))
        {
            var (start, end) = piece.OriginalRange(token.Start, token.End);
            var name = token.Id == pipeline.Model.NamelessId ? piece.Span[token.Start..token.End].ToString() : names[token.Id]!;
            encoded.Add(new EncodedToken(token.Id, name, start, end));
        }
    }

    private TokenEncoding Complete(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens)
    {
        var processor = pipeline.PostProcessor;
        if (pipeline.Truncation is { } truncation)
            Truncating.Cut(sequences, truncation, addSpecialTokens && processor is not null ? processor.AddedTokens(sequences.Count > 1) : 0);
        return TokenEncoding.Of(processor?.Process(sequences, addSpecialTokens) ?? sequences, pipeline.Padding);
    }
}
