using System.Collections.Immutable;
using System.Globalization;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Testing;

/// <summary>Shows on real inputs that a steered graph does what its map says, and nothing else.</summary>
public static class SteeringProof
{
    // One multiplication and one addition, each rounded to float32, on parameters that were rounded once.
    private const double SiteTolerance = 1e-5;

    /// <summary>
    /// Writes the map into the graph with a dial and checks: at strength 0 all outputs are those of the original to the bit
    /// (a zero's sign apart); sites before the first steered one are so at any strength; and each steered site, steered
    /// alone, equals the map of what it held before.
    /// </summary>
    /// <param name="model">The unsteered model.</param>
    /// <param name="map">The map.</param>
    /// <param name="rows">Token ids to run.</param>
    /// <param name="options">The sessions' settings.</param>
    /// <param name="cancel">Ends the checks.</param>
    public static ImmutableArray<Verdict> Check(
        Model model, SteeringMap map, IReadOnlyList<ImmutableArray<int>> rows, SessionOptions? options = null, CancellationToken cancel = default)
    {
        var table = SiteTable.Of(model);
        var dial = Steering.DialOf(map.Provenance.Label ?? "");
        var live = model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = Mode.Live, Force = true }));
        string[] outputs = [.. model.Graph.Outputs.Select(output => output.Name)];
        var runner = new Runner(rows, dial, options, cancel);
        return
        [
            SameBits("strength 0 gives the outputs of the unsteered model, bit for bit", outputs, runner.Run(model, outputs), runner.Run(live, outputs, 0)),
            Upstream(model, live, table, map, runner),
            .. map.Sites.Select(entry => Site(model, table, map, entry, runner)),
        ];
    }

    private static Verdict Upstream(Model model, Model live, SiteTable table, SteeringMap map, Runner runner)
    {
        const string check = "sites before the first steered one are unchanged at strength 1, bit for bit";
        var first = map.Sites.Min(entry => table.Find(entry.Site).Order);
        ImmutableArray<Site> before = [.. table.Sites.Where(site => site.Order < first && site.Places.All(place => place.At.Graph == Graph.MainPath))];
        if (before.IsEmpty)
            return new Verdict(check, true, "no site lies before it");
        // The same taps on both sides: a tap alone may undo a fusion and change the last bits.
        var (patch, taps) = SiteTaps.Whole(model, before);
        var parts = taps.SelectMany(tap => tap.Parts, (tap, part) => (tap.Site.Name, part.Place, part.Output)).ToList();
        string[] outputs = [.. parts.Select(part => part.Output).Distinct()];
        return SameBits(check, [.. parts.Select(part => part.Name)], Parts(runner.Run(model.Apply(patch), outputs)),
            Parts(runner.Run(live.Apply(SiteTaps.Whole(live, before).Patch), outputs, 1)));

        // Parts alone: another one of the same packed value may be steered.
        IReadOnlyList<float[]> Parts(IReadOnlyList<float[]> values) => [.. parts.Select(part => runner.Part(part.Place, values[outputs.IndexOf(part.Output)]))];
    }

    private static Verdict Site(Model model, SiteTable table, SteeringMap map, SiteTransport entry, Runner runner)
    {
        var site = table.Find(entry.Site);
        var steered = model.Apply(Steering.Patch(model, new SteeringMap([entry], map.Provenance), new SteeringOptions { Mode = Mode.Live, Force = true, AllowIdentity = true }));
        var worst = 0.0;
        foreach (var place in site.Places)
        {
            var before = runner.Site(model, site, place);
            var after = runner.Site(steered, site, place, 1);
            var expected = new float[before.Length];
            entry.Transport.Apply(before, expected, 1);
            worst = Math.Max(worst, WorstRow(expected, after, site.Channels));
        }
        return new Verdict($"{entry.Site} equals the map of what it held", worst <= SiteTolerance,
            string.Create(CultureInfo.InvariantCulture, $"largest difference {worst:0.0e+0} of a token's largest value; {SiteTolerance:0e+0} allowed"));
    }

    private static Verdict SameBits(string check, string[] names, IReadOnlyList<float[]> expected, IReadOnlyList<float[]> actual)
    {
        var (count, different) = (0L, new List<string>());
        for (var i = 0; i < names.Length; i++)
        {
            count += expected[i].Length;
            if (!Same(expected[i], actual[i]))
                different.Add(names[i]);
        }
        return new Verdict(check, different.Count == 0, different.Count == 0 ? $"{count} values of {names.Length} tensors are equal" : $"{different.Count} of {names.Length} tensors differ, '{different[0]}' first");
    }

    // 0 and -0 count as the same, NaN and NaN too.
    private static bool Same(float[] expected, float[] actual) => expected.Length == actual.Length
        && expected.Zip(actual).All(pair => pair.First.Equals(pair.Second) || pair is { First: 0, Second: 0 });

    private static double WorstRow(float[] expected, float[] actual, int channels)
    {
        var worst = 0.0;
        for (var start = 0; start < expected.Length; start += channels)
        {
            var (largest, difference) = (0.0, 0.0);
            for (var i = start; i < start + channels; i++)
            {
                largest = Math.Max(largest, Math.Abs(expected[i]));
                difference = Math.Max(difference, expected[i].Equals(actual[i]) ? 0 : Math.Abs((double)expected[i] - actual[i]));
            }
            worst = Math.Max(worst, double.IsFinite(difference) ? difference / Math.Max(largest, float.Epsilon) : double.PositiveInfinity);
        }
        return worst;
    }

    private sealed class Runner(IReadOnlyList<ImmutableArray<int>> rows, string dial, SessionOptions? options, CancellationToken cancel)
    {
        public IReadOnlyList<float[]> Run(Model model, string[] outputs, float? strength = null)
        {
            using var decoder = Decoder.Open(model, options);
            using var state = decoder.Start(rows.Count, strength is { } value ? new Dictionary<string, float[]> { [dial] = [value] } : null);
            var batch = new TokenBatch(rows, decoder.Signature.Padding, decoder.Config.PadId);
            return [.. state.Run(batch, outputs, cancel).Select(output => { using (output) return output.ToSingles(); })];
        }

        public float[] Site(Model model, Site site, Place place, float? strength = null)
        {
            var (patch, taps) = SiteTaps.Whole(model, [SiteTable.Of(model).Find(site.Name)]);
            var output = taps[0].Parts[site.Places.IndexOf(place)].Output;
            return Part(place, Run(model.Apply(patch), [output], strength)[0]);
        }

        // A place's channels of a value, [batch, tokens, channels].
        public float[] Part(Place place, float[] values)
        {
            if (place.At.Range is not { } range)
                return values;
            var width = values.Length / (rows.Count * rows.Max(row => row.Length));
            return [.. Enumerable.Range(0, values.Length / width).SelectMany(token => values[(token * width + range.Start)..(token * width + range.End)])];
        }
    }
}
