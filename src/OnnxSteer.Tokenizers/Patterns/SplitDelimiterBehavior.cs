namespace OnnxSteer.Tokenizers;

/// <summary>What becomes of a delimiter when a text is split at it.</summary>
internal enum SplitDelimiterBehavior
{
    /// <summary>It is dropped.</summary>
    Removed,

    /// <summary>It is a piece of its own.</summary>
    Isolated,

    /// <summary>It ends the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>It begins the piece after it.</summary>
    MergedWithNext,

    /// <summary>It is a piece together with the delimiters beside it.</summary>
    Contiguous,
}

/// <summary>Cuts texts at the matches of a pattern.</summary>
internal static class Splitter
{
    /// <summary>Adds the pieces of a text, none of them empty.</summary>
    /// <param name="text">The text to cut.</param>
    /// <param name="pattern">Finds the delimiters.</param>
    /// <param name="behavior">What becomes of the delimiters.</param>
    /// <param name="invert">Whether the delimiters are what lies between the matches.</param>
    /// <param name="pieces">Takes the pieces.</param>
    public static void Split(
        NormalizedString text, IPattern pattern, SplitDelimiterBehavior behavior, bool invert, List<NormalizedString> pieces)
    {
        void Add(int start, int end)
        {
            if (start < end)
                pieces.Add(text.Slice(start, end));
        }

        if (text.IsEmpty)
            return;
        var parts = Parts(pattern.Matches(text.Span), text.Length, invert);
        switch (behavior)
        {
            case SplitDelimiterBehavior.Removed:
                foreach (var part in parts)
                    if (!part.IsDelimiter)
                        Add(part.Start, part.End);
                break;
            case SplitDelimiterBehavior.Isolated:
                foreach (var part in parts)
                    Add(part.Start, part.End);
                break;
            default:
                for (int i = 0, next; i < parts.Count; i = next)
                {
                    for (next = i + 1; next < parts.Count && Joins(behavior, parts[next - 1].IsDelimiter, parts[next].IsDelimiter);)
                        next++;
                    Add(parts[i].Start, parts[next - 1].End);
                }
                break;
        }
    }

    private static bool Joins(SplitDelimiterBehavior behavior, bool left, bool right) => behavior switch
    {
        SplitDelimiterBehavior.MergedWithPrevious => right && !left,
        SplitDelimiterBehavior.MergedWithNext => left && !right,
        _ => left == right,
    };

    private static List<(int Start, int End, bool IsDelimiter)> Parts(List<(int Start, int End)> matches, int length, bool invert)
    {
        var parts = new List<(int, int, bool)>((2 * matches.Count) + 1);
        var end = 0;
        foreach (var match in matches)
        {
            if (end < match.Start)
                parts.Add((end, match.Start, invert));
            parts.Add((match.Start, match.End, !invert));
            end = match.End;
        }
        if (end < length)
            parts.Add((end, length, invert));
        return parts;
    }
}
