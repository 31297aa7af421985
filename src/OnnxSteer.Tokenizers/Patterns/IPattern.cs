namespace OnnxSteer.Tokenizers;

/// <summary>Something that finds places in a text: the delimiters of a pre-tokenizer, what a normalizer replaces.</summary>
internal interface IPattern
{
    /// <summary>
    /// The matches, from left to right, none overlapping; an empty match never touches the end of the one before.
    /// An empty text has none, whatever the pattern.
    /// </summary>
    List<(int Start, int End)> Matches(ReadOnlySpan<char> text);
}

/// <summary>The places where a text stands literally; the empty text stands before and after every character.</summary>
internal sealed record LiteralPattern(string Literal) : IPattern
{
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        if (text.IsEmpty)
            return matches;
        if (Literal.Length == 0)
        {
            for (var at = 0; at < text.Length; at += Scalars.LengthAt(text, at))
                matches.Add((at, at));
            matches.Add((text.Length, text.Length));
            return matches;
        }
        for (var from = 0; text[from..].IndexOf(Literal, StringComparison.Ordinal) is var found and >= 0; from += found + Literal.Length)
            matches.Add((from + found, from + found + Literal.Length));
        return matches;
    }
}

/// <summary>Every scalar of a class, each a match of its own.</summary>
internal sealed record ScalarPattern(Func<int, bool> IsMatch) : IPattern
{
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = Scalars.LengthAt(text, i);
            if (IsMatch(Scalars.At(text, i)))
                matches.Add((i, i + length));
        }
        return matches;
    }
}
