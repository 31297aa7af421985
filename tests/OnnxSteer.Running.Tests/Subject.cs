using OnnxSteer.Fixtures;
using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace OnnxSteer.Running.Tests;

/// <summary>What a random transport does.</summary>
public enum Kind
{
    /// <summary>Scales and shifts every channel.</summary>
    Affine,

    /// <summary>The same within bounds that part the values seen, halfway between two of them so that rounding moves none across.</summary>
    Bounded,

    /// <summary>Shifts only: a steering vector.</summary>
    Shift,

    /// <summary>Scales only.</summary>
    Scale,
}

/// <summary>An export, opened once: its sites, three rows of twelve tokens, what they give unsteered, and random maps for it.</summary>
internal sealed class Subject
{
    private static readonly ConcurrentDictionary<string, Lazy<Subject>> Known = new();
    private readonly Lazy<Dictionary<string, float[]>> values;
    private readonly Lazy<Dictionary<string, float[]>[]> calls;

    private Subject(string export)
    {
        Export = export;
        Model = Exports.Open(export);
        Table = SiteTable.Of(Model);
        using var golden = Exports.Golden(export);
        Rows = Exports.Rows(golden, "input_ids");
        values = new(() => Exports.Activations(Model, Table.Sites, Rows));
        calls = new(() =>
        {
            using var runner = new Runner(Model);
            return Calls(runner);
        });
    }

    public string Export { get; }

    public Model Model { get; }

    public SiteTable Table { get; }

    public ImmutableArray<int>[] Rows { get; }

    /// <summary>Every site's values on the rows, unsteered, read from one run with all sites tapped.</summary>
    public Dictionary<string, float[]> Values => values.Value;

    /// <summary>All outputs of the unsteered model in the two calls of <see cref="Calls"/>.</summary>
    public Dictionary<string, float[]>[] Unsteered => calls.Value;

    public static Subject Of(string export) => Known.GetOrAdd(export, name => new Lazy<Subject>(() => new Subject(name))).Value;

    /// <summary>All outputs of a call of nine tokens, and of one of a single token that follows on it.</summary>
    public Dictionary<string, float[]>[] Calls(Runner runner, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        var first = runner.Call(Part(0, 9), null, dials);
        return [first, runner.Call(Part(9, 10), first, dials)];
    }

    /// <summary>The sites that are tried one by one: all, with one head of each layer.</summary>
    public IReadOnlyList<Site> Tried => Exhaustive.IsOn ? Table.Sites
        : [.. Table.Sites.Where(site => !site.Name.Contains(".heads.", StringComparison.Ordinal) || site.Name.EndsWith(".heads.3", StringComparison.Ordinal))];

    /// <summary>
    /// The sites at which a kind of map is tried: all of them; but in the export whose session takes several times as long to
    /// open all sites within bounds, and half of them with one of the other kinds in turn.
    /// </summary>
    public IEnumerable<Site> SitesFor(Kind kind) =>
        IsSlow && kind != Kind.Bounded ? Tried.Where((_, i) => i % 6 == kind switch { Kind.Affine => 0, Kind.Shift => 2, _ => 4 }) : Tried;

    public bool IsSlow => Export.EndsWith("optimum", StringComparison.Ordinal);

    public ImmutableArray<int>[] Part(int from, int to) => [.. Rows.Select(row => row[from..to])];

    /// <summary>A map of one site; the same for the same site and kind.</summary>
    public SteeringMap Map(Kind kind, params IEnumerable<Site> sites) => new(sites.Select(site => new SiteTransport(site.Name, Transport(site, kind))).ToList());

    public Transport Transport(Site site, Kind kind, int seed = 0)
    {
        var random = new Random(seed + 1000 * (int)kind + site.Order);
        // A site may go by one of its aliases.
        var samples = Values[Table.Sites[site.Order].Name];
        float Spread(int channel) => Enumerable.Range(0, samples.Length / site.Channels).Max(row => Math.Abs(samples[row * site.Channels + channel]));
        ImmutableArray<float> w = [.. Enumerable.Range(0, site.Channels).Select(_ => kind == Kind.Shift ? 1 : 0.7f + 0.6f * random.NextSingle())];
        ImmutableArray<float> b = [.. Enumerable.Range(0, site.Channels).Select(channel => kind == Kind.Scale ? 0 : (random.NextSingle() - 0.5f) * (0.05f + Spread(channel)))];
        if (kind != Kind.Bounded)
            return OnnxSteer.Transport.Of(site.Name, w, b);
        var bounds = Enumerable.Range(0, site.Channels).Select(channel => Bounds([.. Enumerable.Range(0, samples.Length / site.Channels).Select(row => samples[row * site.Channels + channel])])).ToList();
        return OnnxSteer.Transport.Of(site.Name, w, b, [.. bounds.Select(pair => pair.Lo)], [.. bounds.Select(pair => pair.Hi)]);
    }

    // Within them lie about three values of five. The first token of every row is the same, so some values are equal: the
    // bounds lie in the widest gaps near there.
    private static (float Lo, float Hi) Bounds(float[] values)
    {
        Array.Sort(values);
        float Between(int from, int to) => Enumerable.Range(from, to - from).MaxBy(i => values[i + 1] - values[i]) is var i ? (float)((values[i] + (double)values[i + 1]) / 2) : 0;
        return (Between(values.Length / 10, 3 * values.Length / 10), Between(7 * values.Length / 10, 9 * values.Length / 10));
    }
}
