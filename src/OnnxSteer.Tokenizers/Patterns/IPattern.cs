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

/// <summary>Every scalar of a set, each a match of its own.</summary>
internal sealed record ScalarPattern(ScalarSet Set) : IPattern
{
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = Scalars.LengthAt(text, i);
            if (length == 1 ? Set.ContainsUnit(text[i]) : Set.Contains(Scalars.At(text, i)))
                matches.Add((i, i + length));
        }
        return matches;
    }
}

/// <summary>Runs of scalars of the first set, else of the second, each as long as it can be.</summary>
internal sealed record RunsPattern(ScalarSet First, ScalarSet Second) : IPattern
{
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        var (start, last) = (0, (ScalarSet?)null);
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = Scalars.LengthAt(text, i);
            var scalar = Scalars.At(text, i);
            var set = First.Contains(scalar) ? First : Second.Contains(scalar) ? Second : null;
            if (set == last)
                continue;
            if (last is not null)
                matches.Add((start, i));
            (start, last) = (i, set);
        }
        if (last is not null)
            matches.Add((start, text.Length));
        return matches;
    }
}

/// <summary>Pieces of so many scalars, the last perhaps of fewer.</summary>
internal sealed record FixedLengthPattern(int Length) : IPattern
{
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = start;
            for (var i = 0; i < Length && end < text.Length; i++)
                end += Scalars.LengthAt(text, end);
            matches.Add((start, end));
        }
        return matches;
    }
}
