using System.Globalization;

namespace OnnxSteer.Tokenizers;

/// <summary>A set of Unicode scalars: sorted ranges, and a bit for each scalar up to U+FFFF, where texts mostly are.</summary>
internal sealed class ScalarSet
{
    public const int Count = 0x110000;

    private static readonly Lazy<ScalarSet[]> ByCategory = new(Categorize);

    private readonly int[] bounds;
    private readonly ulong[] bits = new ulong[0x10000 / 64];

    /// <param name="bounds">First and last scalar of each range, in order, no two ranges touching.</param>
    private ScalarSet(int[] bounds)
    {
        this.bounds = bounds;
        for (var i = 0; i < bounds.Length && bounds[i] < 0x10000; i += 2)
            for (var scalar = bounds[i]; scalar <= Math.Min(bounds[i + 1], 0xFFFF); scalar++)
                bits[scalar >> 6] |= 1UL << scalar;
    }

    public static ScalarSet Empty { get; } = new([]);

    public static ScalarSet All { get; } = new([0, Count - 1]);

    /// <summary>Scalars that .NET's tables know.</summary>
    public static ScalarSet Assigned => Category(UnicodeCategory.OtherNotAssigned).Complement();

    /// <summary>First and last scalar of each range, in order.</summary>
    public ReadOnlySpan<int> Bounds => bounds;

    public static ScalarSet Range(int first, int last) => new([first, last]);

    public static ScalarSet Of(params ReadOnlySpan<int> scalars)
    {
        var ranges = new List<(int, int)>();
        foreach (var scalar in scalars)
            ranges.Add((scalar, scalar));
        return Of(ranges);
    }

    public static ScalarSet Of(IEnumerable<(int First, int Last)> ranges)
    {
        var joined = new List<int>();
        foreach (var (first, last) in ranges.OrderBy(range => range.First))
            if (joined.Count > 0 && first <= joined[^1] + 1)
                joined[^1] = Math.Max(joined[^1], last);
            else
                joined.AddRange([first, last]);
        return new ScalarSet([.. joined]);
    }

    public static ScalarSet Category(UnicodeCategory category) => ByCategory.Value[(int)category];

    public static ScalarSet Categories(Func<UnicodeCategory, bool> isIn) =>
        Of(Enum.GetValues<UnicodeCategory>().Where(isIn).SelectMany(category => Category(category).Ranges()));

    public bool Contains(int scalar)
    {
        if (scalar < 0x10000)
            return (bits[scalar >> 6] >> (scalar & 63) & 1) != 0;
        var at = Array.BinarySearch(bounds, scalar);

        // Between two bounds: inside a range where the next bound is a last one.
        return at >= 0 || (~at & 1) == 1;
    }

    public bool ContainsUnit(char unit) => (bits[unit >> 6] >> (unit & 63) & 1) != 0;

    public ScalarSet Union(ScalarSet other) => Of(Ranges().Concat(other.Ranges()));

    public ScalarSet Complement()
    {
        var outside = new List<int>();
        var next = 0;
        for (var i = 0; i < bounds.Length; i += 2)
        {
            if (next < bounds[i])
                outside.AddRange([next, bounds[i] - 1]);
            next = bounds[i + 1] + 1;
        }
        if (next < Count)
            outside.AddRange([next, Count - 1]);
        return new ScalarSet([.. outside]);
    }

    public ScalarSet Intersect(ScalarSet other) => Complement().Union(other.Complement()).Complement();

    public IEnumerable<(int First, int Last)> Ranges()
    {
        for (var i = 0; i < bounds.Length; i += 2)
            yield return (bounds[i], bounds[i + 1]);
    }

    private static ScalarSet[] Categorize()
    {
        var ranges = Enum.GetValues<UnicodeCategory>().Select(_ => new List<(int, int)>()).ToArray();
        var first = 0;
        var category = CharUnicodeInfo.GetUnicodeCategory(0);
        for (var scalar = 1; scalar <= Count; scalar++)
        {
            var next = scalar == Count ? (UnicodeCategory)(-1) : CharUnicodeInfo.GetUnicodeCategory(scalar);
            if (next == category)
                continue;
            ranges[(int)category].Add((first, scalar - 1));
            (first, category) = (scalar, next);
        }
        return [.. ranges.Select(Of)];
    }
}
