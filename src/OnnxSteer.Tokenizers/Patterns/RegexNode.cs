namespace OnnxSteer.Tokenizers;

/// <summary>A regular expression as a tree.</summary>
internal abstract record RegexNode
{
    /// <summary>One scalar of a set.</summary>
    public sealed record One(ScalarSet Set) : RegexNode;

    /// <summary>One after another; none is the empty expression.</summary>
    public sealed record Concat(IReadOnlyList<RegexNode> Parts) : RegexNode;

    /// <summary>The first that leads to a match.</summary>
    public sealed record Alternate(IReadOnlyList<RegexNode> Choices) : RegexNode;

    /// <summary>So many times, <see cref="int.MaxValue"/> without bound.</summary>
    public sealed record Repeat(RegexNode Body, int Minimum, int Maximum, bool IsLazy) : RegexNode;

    /// <summary>A group that a back reference can name.</summary>
    public sealed record Capture(int Index, RegexNode Body) : RegexNode;

    /// <summary>What a group has captured.</summary>
    public sealed record BackReference(int Index) : RegexNode;

    /// <summary>What follows or precedes, or what must not.</summary>
    public sealed record Look(RegexNode Body, bool IsBehind, bool IsNegative) : RegexNode;

    /// <summary>The first way to match and no other.</summary>
    public sealed record Atomic(RegexNode Body) : RegexNode;

    /// <summary>A place.</summary>
    public sealed record At(RegexPlace Place) : RegexNode;

    /// <summary>One grapheme cluster.</summary>
    public sealed record Cluster : RegexNode;

    /// <summary>The match starts here, whatever was matched before.</summary>
    public sealed record Keep : RegexNode;

    public static RegexNode Empty { get; } = new Concat([]);

    /// <summary>The scalars that can come first, and whether it can match nothing (or looks at more than the first scalar).</summary>
    public (ScalarSet Set, bool IsNullable) First()
    {
        switch (this)
        {
            case One one:
                return (one.Set, false);
            case Capture capture:
                return capture.Body.First();
            case Atomic atomic:
                return atomic.Body.First();
            case Repeat repeat:
                var (body, isNullable) = repeat.Body.First();
                return (body, isNullable || repeat.Minimum == 0);
            case Alternate alternate:
                var choices = alternate.Choices.Select(choice => choice.First()).ToList();
                return (choices.Aggregate(ScalarSet.Empty, (set, choice) => set.Union(choice.Set)), choices.Any(choice => choice.IsNullable));
            case Concat concat:
                var first = ScalarSet.Empty;
                foreach (var part in concat.Parts)
                {
                    var (set, canBeNothing) = part.First();
                    first = first.Union(set);
                    if (!canBeNothing)
                        return (first, false);
                }
                return (first, true);
            case Cluster:
                return (ScalarSet.All, false);
            case BackReference:
                return (ScalarSet.All, true);
            default:
                return (ScalarSet.Empty, true);
        }
    }
}

/// <summary>Places that an expression can ask for.</summary>
internal enum RegexPlace
{
    /// <summary>The start of a line.</summary>
    LineStart,

    /// <summary>The end of a line.</summary>
    LineEnd,

    /// <summary>The start of the text.</summary>
    TextStart,

    /// <summary>The end of the text.</summary>
    TextEnd,

    /// <summary>The end of the text, or before the line break there.</summary>
    LastLineEnd,

    /// <summary>Where the search began.</summary>
    SearchStart,

    /// <summary>Between a word character and another.</summary>
    WordBoundary,

    /// <summary>Not between a word character and another.</summary>
    NotWordBoundary,
}
