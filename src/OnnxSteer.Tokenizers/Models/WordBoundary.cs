namespace OnnxSteer.Tokenizers;

/// <summary>
/// Where a piece may be cut so that each part has the tokens that it has in the whole: before the character that marks the
/// start of words, where no merge joins it to the character before. Tokenizers without pre-tokenizer give whole texts to the model.
/// </summary>
internal sealed class WordBoundary
{
    private readonly char mark;

    // By unit: whether it is a token of its own and no merge joins its end to a mark.
    private readonly bool[] isEnd;

    private WordBoundary(char mark, bool[] isEnd)
    {
        this.mark = mark;
        this.isEnd = isEnd;
    }

    /// <summary>The boundary of a vocabulary, null if it has none.</summary>
    /// <param name="vocabulary">The tokens.</param>
    /// <param name="merges">The left and right parts of all merges.</param>
    public static WordBoundary? Of(Vocabulary vocabulary, IEnumerable<(string Left, string Right)> merges)
    {
        var counts = new Dictionary<char, int>();
        foreach (var (text, _) in vocabulary.Tokens)
            if (text.Length > 1)
                counts[text[0]] = counts.GetValueOrDefault(text[0]) + 1;
        if (counts.Count == 0)
            return null;
        var mark = counts.MaxBy(count => count.Value).Key;
        if (char.IsSurrogate(mark) || vocabulary.IdOf(mark.ToString()) is null)
            return null;
        var isEnd = new bool[char.MaxValue + 1];
        foreach (var (text, _) in vocabulary.Tokens)
            if (text.Length == 1)
                isEnd[text[0]] = true;
        foreach (var (left, right) in merges)
            if (left.Length > 0 && right.Length > 0 && right[0] == mark)
                isEnd[left[^1]] = false;
        return new WordBoundary(mark, isEnd);
    }

    /// <summary>The next boundary after a place, or the end.</summary>
    public int Next(ReadOnlySpan<char> piece, int start)
    {
        for (var at = start + 1; at < piece.Length; at++)
        {
            var found = piece[at..].IndexOf(mark);
            if (found < 0)
                break;
            at += found;
            if (isEnd[piece[at - 1]])
                return at;
        }
        return piece.Length;
    }
}
