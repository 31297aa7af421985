namespace OnnxSteer.Tokenizers;

/// <summary>Which of two texts gives up tokens where there are too many.</summary>
public enum TruncationStrategy
{
    /// <summary>The longer one, until both are of one length.</summary>
    LongestFirst,

    /// <summary>The first one.</summary>
    OnlyFirst,

    /// <summary>The second one.</summary>
    OnlySecond,
}

/// <summary>A side of a text.</summary>
public enum Side
{
    /// <summary>Its end.</summary>
    Right,

    /// <summary>Its start.</summary>
    Left,
}

/// <summary>How many tokens a text may have.</summary>
/// <param name="MaxLength">The most tokens, those that the post-processor adds included.</param>
/// <param name="Strategy">Which of two texts is cut.</param>
/// <param name="Direction">Where it is cut.</param>
public sealed record Truncation(int MaxLength, TruncationStrategy Strategy = TruncationStrategy.LongestFirst, Side Direction = Side.Right);

/// <summary>How many tokens a text is filled up to.</summary>
/// <param name="Length">The least tokens; null for the longest text of a batch, which for one text is none.</param>
/// <param name="PadId">The id that fills it up.</param>
/// <param name="PadToken">The token of that id.</param>
/// <param name="PadTypeId">Its type id.</param>
/// <param name="Direction">Where it is filled up.</param>
/// <param name="MultipleOf">The length is rounded up to a multiple of this; 1 to leave it.</param>
public sealed record Padding(int? Length, int PadId, string PadToken, int PadTypeId = 0, Side Direction = Side.Right, int MultipleOf = 1);

/// <summary>Cuts encoded texts to a <see cref="Truncation"/>.</summary>
internal static class Truncating
{
    /// <param name="sequences">One text or two, before the post-processor.</param>
    /// <param name="truncation">How much is too much.</param>
    /// <param name="added">How many tokens come on top.</param>
    public static void Cut(IReadOnlyList<EncodedSequence> sequences, Truncation truncation, int added)
    {
        var most = truncation.MaxLength - added;
        if (most < 0)
            throw new TokenizerException($"The tokenizer cuts texts to {truncation.MaxLength} tokens, but its post-processor alone adds {added}.");
        var total = sequences.Sum(sequence => sequence.Tokens.Count);
        if (total <= most)
            return;
        var first = sequences[0].Tokens.Count;
        if (most == 0)
        {
            foreach (var sequence in sequences)
                Cut(sequence, 0, truncation.Direction);
        }
        else if (truncation.Strategy == TruncationStrategy.LongestFirst)
        {
            if (sequences.Count == 1)
            {
                Cut(sequences[0], most, truncation.Direction);
                return;
            }
            var (shorter, longer) = (Math.Min(first, total - first), Math.Max(first, total - first));
            var isSwapped = first > total - first;
            longer = shorter > most ? shorter : Math.Max(shorter, most - shorter);
            if (shorter + longer > most)
                (shorter, longer) = (most / 2, (most / 2) + (most % 2));
            Cut(sequences[0], isSwapped ? longer : shorter, truncation.Direction);
            Cut(sequences[1], isSwapped ? shorter : longer, truncation.Direction);
        }
        else
        {
            var target = truncation.Strategy == TruncationStrategy.OnlyFirst ? 0 : 1;
            if (target >= sequences.Count)
                throw new TokenizerException("The tokenizer cuts the second text of a pair only, and there is one text.");
            var left = sequences[target].Tokens.Count - (total - most);
            if (left <= 0)
                throw new TokenizerException($"Text {target + 1} has {sequences[target].Tokens.Count} tokens; cutting it alone does not bring both to {most}.");
            Cut(sequences[target], left, truncation.Direction);
        }
    }

    private static void Cut(EncodedSequence sequence, int count, Side direction)
    {
        var excess = sequence.Tokens.Count - count;
        if (excess > 0)
            sequence.Tokens.RemoveRange(direction == Side.Right ? count : 0, excess);
    }
}
