namespace OnnxSteer.Tokenizers;

/// <summary>The added tokens of a tokenizer: splits a text at them, and knows their ids.</summary>
internal sealed class AddedVocabulary
{
    private readonly Dictionary<string, AddedToken> byContent = new(StringComparer.Ordinal);
    private readonly Dictionary<int, AddedToken> byId = [];
    private readonly HashSet<string> special = new(StringComparer.Ordinal);
    private readonly TokenTrie inOriginal;
    private readonly TokenTrie inNormalized;
    private readonly INormalizer? normalizer;

    public AddedVocabulary(IReadOnlyList<AddedToken> tokens, INormalizer? normalizer)
    {
        this.normalizer = normalizer;
        foreach (var token in tokens)
        {
            byContent.Add(token.Content, token);
            byId.Add(token.Id, token);
            if (token.Special)
                special.Add(token.Content);
        }
        inOriginal = new TokenTrie([.. tokens.Where(token => !token.Normalized).Select(token => (token.Content, token))]);
        inNormalized = new TokenTrie([.. tokens.Where(token => token.Normalized).Select(token => (Normalized(token), token))]);
    }

    /// <summary>The added tokens, by id.</summary>
    public IReadOnlyDictionary<int, AddedToken> ById => byId;

    public int? TokenToId(string content) => byContent.TryGetValue(content, out var token) ? token.Id : null;

    public bool IsSpecial(string content) => special.Contains(content);

    /// <summary>Cuts a text at the added tokens in it, and normalizes what lies between them.</summary>
    /// <returns>The parts, none of them empty; <c>Token</c> is null where the model has to look.</returns>
    /// <param name="original">The text.</param>
    /// <param name="specialAsText">Whether special tokens in the text are text like any other.</param>
    public List<(NormalizedString Text, AddedToken? Token)> Split(NormalizedString original, bool specialAsText)
    {
        var outer = new List<(NormalizedString, AddedToken?)>();
        Split(original, inOriginal, specialAsText, outer);
        var inner = new List<(NormalizedString, AddedToken?)>(outer.Count);
        foreach (var (text, token) in outer)
            if (token is null)
                Split(normalizer is null ? text : normalizer.Normalize(text), inNormalized, specialAsText, inner);
            else
                inner.Add((text, token));
        return inner;
    }

    private static void Split(NormalizedString text, TokenTrie trie, bool specialAsText, List<(NormalizedString, AddedToken?)> parts)
    {
        var span = text.Span;
        var taken = 0;
        for (var from = 0; trie.Next(span, from) is { } match; from = match.End)
        {
            var (token, start, end) = match;
            if (specialAsText && token.Special)
                continue;
            if (token.SingleWord && (EndsWithWord(span[..start]) || StartsWithWord(span[end..])))
                continue;

            // The match before may have taken the same whitespace already.
            if (token.LStrip)
                start = Math.Max(span[..start].TrimEnd().Length, taken);
            if (token.RStrip)
                end = span.Length - span[end..].TrimStart().Length;
            if (taken < start)
                parts.Add((text.Slice(taken, start), null));
            parts.Add((text.Slice(start, end), token));
            taken = end;
        }
        if (taken < span.Length)
            parts.Add((text.Slice(taken, span.Length), null));
    }

    private static bool StartsWithWord(ReadOnlySpan<char> text) => !text.IsEmpty && Scalars.Word.Contains(Scalars.At(text, 0));

    private static bool EndsWithWord(ReadOnlySpan<char> text) =>
        !text.IsEmpty && Scalars.Word.Contains(Scalars.At(text, Scalars.StartBefore(text, text.Length)));

    private string Normalized(AddedToken token)
    {
        if (normalizer is null)
            return token.Content;
        var text = normalizer.Normalize(NormalizedString.Of(token.Content)).Span.ToString();
        return text.Length > 0
            ? text
            : throw new TokenizerException($"The added token '{token.Content}' is empty once normalized, so it cannot be found in a text.");
    }
}
