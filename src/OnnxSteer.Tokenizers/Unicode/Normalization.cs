namespace OnnxSteer.Tokenizers;

/// <summary>
/// Unicode's four normalization forms, with for every scalar of the result how it came about: 0 in place of one scalar of the
/// source, more than 0 beside the one before it, less than 0 in place of one and so many more. .NET's own needs ICU.
/// </summary>
internal sealed class Normalization(bool compose, bool compatibility)
{
    private const int FirstSyllable = 0xAC00, FirstLead = 0x1100, FirstVowel = 0x1161, FirstTail = 0x11A7;
    private const int Vowels = 21, Tails = 28, Leads = 19;

    private static readonly UnicodeTables Tables = UnicodeTables.Instance;

    // Below it nothing decomposes and nothing combines with what is before.
    private readonly int firstAffected = compatibility ? 0xA0 : compose ? 0x300 : 0xC0;

    public NormalizedString Apply(NormalizedString text)
    {
        if (!text.Span.ContainsAnyInRange((char)firstAffected, char.MaxValue))
            return text;
        var (decomposed, changes) = Decompose(text.Span);
        var rewriter = new Rewriter(text);
        if (compose)
            Compose(decomposed, changes, ref rewriter);
        else
            for (var i = 0; i < decomposed.Count; i++)
                rewriter.Add(decomposed[i], changes[i]);
        return rewriter.Build();
    }

    private (List<int> Scalars, List<int> Changes) Decompose(ReadOnlySpan<char> text)
    {
        var (scalars, changes) = (new List<int>(text.Length), new List<int>(text.Length));
        var marks = new List<long>(); // Class and place of those at the end that may still change places.
        void Settle()
        {
            if (marks.Count == 0)
                return;

            // In the order of their classes, those of one class as they came.
            marks.Sort();
            var settled = scalars.Count - marks.Count;
            var ordered = marks.ConvertAll(mark => (scalars[settled + (int)(mark & uint.MaxValue)], changes[settled + (int)(mark & uint.MaxValue)]));
            for (var i = 0; i < ordered.Count; i++)
                (scalars[settled + i], changes[settled + i]) = ordered[i];
            marks.Clear();
        }

        void Add(int scalar, ref bool first)
        {
            var combining = Tables.CombiningClass(scalar);
            if (combining == 0)
                Settle();
            else
                marks.Add(((long)combining << 32) | (uint)marks.Count);
            scalars.Add(scalar);
            changes.Add(first ? 0 : 1);
            first = false;
        }

        void Expand(int scalar, ref bool first)
        {
            if (scalar - FirstSyllable is >= 0 and < Leads * Vowels * Tails and var index)
            {
                Add(FirstLead + (index / (Vowels * Tails)), ref first);
                Add(FirstVowel + (index / Tails % Vowels), ref first);
                if (index % Tails > 0)
                    Add(FirstTail + (index % Tails), ref first);
            }
            else if (scalar >= 0xA0 && Tables.Decomposition(scalar, compatibility) is { } parts)
                foreach (var part in parts)
                    Expand(part, ref first);
            else
                Add(scalar, ref first);
        }

        foreach (var rune in text.EnumerateRunes())
        {
            var first = true;
            Expand(rune.Value, ref first);
        }
        Settle();
        return (scalars, changes);
    }

    private static void Compose(List<int> scalars, List<int> changes, ref Rewriter rewriter)
    {
        var waiting = new List<(int Scalar, int Change)>(); // Marks after the starter that did not combine with it.
        var (starter, starterChange) = (-1, 0);
        var lastClass = 0; // Of the marks that wait; 0 where none do.
        void Flush(ref Rewriter rewriter)
        {
            if (starter >= 0)
                rewriter.Add(starter, starterChange);
            foreach (var (scalar, change) in waiting)
                rewriter.Add(scalar, change);
            waiting.Clear();
            lastClass = 0;
        }

        for (var i = 0; i < scalars.Count; i++)
        {
            var (scalar, change) = (scalars[i], changes[i]);
            var combining = Tables.CombiningClass(scalar);
            if (starter < 0)
            {
                if (combining != 0)
                    rewriter.Add(scalar, change);
                else
                    (starter, starterChange) = (scalar, change);
                continue;
            }
            var blocked = waiting.Count > 0 && lastClass >= combining;
            if (!blocked && Combined(starter, scalar) is { } combined)
            {
                (starter, starterChange) = (combined, starterChange + change - 1);
                continue;
            }
            if (combining == 0)
            {
                Flush(ref rewriter);
                (starter, starterChange) = (scalar, change);
                continue;
            }
            waiting.Add((scalar, change));
            lastClass = combining;
        }
        Flush(ref rewriter);
    }

    private static int? Combined(int first, int second)
    {
        if (second < 0x300)
            return null;
        if (first - FirstLead is >= 0 and < Leads and var lead && second - FirstVowel is >= 0 and < Vowels and var vowel)
            return FirstSyllable + (((lead * Vowels) + vowel) * Tails);
        if (first - FirstSyllable is >= 0 and < Leads * Vowels * Tails and var syllable && syllable % Tails == 0
            && second - FirstTail is > 0 and < Tails and var tail)
            return first + tail;
        return Tables.Composition(first, second);
    }
}
