using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>
/// What steering one site of a denoiser does to all sites, with the same taps on both sides: nothing at strength 0, nothing
/// before the site, <c>T</c> at the site. And exports of one checkpoint agree.
/// </summary>
public sealed class SteeringPropertyTests
{
    private const float Strength = 0.7f;

    public static TheoryData<string> All => [.. Denoiser.Names];

    [SharedTheory, MemberData(nameof(All))]
    public void A_steered_site_is_the_transport_of_what_it_was_and_nothing_before_it_changes(string name)
    {
        var denoiser = Denoiser.Of(name);
        foreach (var (index, site) in Sample(denoiser.Table.Sites, 4).Index())
            foreach (var method in Exhaustive.IsOn ? ["linear", "mean"] : new[] { index % 2 == 0 ? "linear" : "mean" })
            {
                var map = Map(denoiser, site, method);
                var model = Denoiser.Patch(denoiser.Model, map, Mode.Live, 0);
                var (patch, taps) = SiteTaps.Whole(model, SiteTable.Of(model).Sites);
                using var session = Denoiser.Open(model.Apply(patch));
                Assert.Equal(denoiser.Table.Sites.Select(other => other.Name), taps.Select(tap => tap.Site.Name));
                string[] outputs = [denoiser.Output, .. taps.Select(tap => tap.Parts[0].Output)];
                var still = Denoiser.Run(session, denoiser.Inputs, outputs);
                foreach (var tap in taps)
                    IsUnchanged(denoiser, denoiser.Unsteered[tap.Site.Name], still[tap.Parts[0].Output], $"{site.Name} by {method} at 0: {tap.Site.Name}");
                IsUnchanged(denoiser, denoiser.Unsteered[denoiser.Output], still[denoiser.Output], $"{site.Name} by {method} at 0: the output");
                var steered = Denoiser.Run(session, denoiser.Inputs, outputs, Exports.Dial(Strength));
                foreach (var tap in taps.Where(tap => tap.Site.Order < site.Order))
                    Assert.True(Bits.Same(denoiser.Unsteered[tap.Site.Name].Data, steered[tap.Parts[0].Output].Data), $"{site.Name} by {method}: {tap.Site.Name}, before it, changed");
                var own = taps.Single(tap => tap.Site.Name == site.Name);
                IsTransported(site, map, denoiser.Unsteered[site.Name], steered[own.Parts[0].Output]);
            }
    }

    [SharedTheory]
    [InlineData("shapes32", "shapes32-dynamo")]
    [InlineData("shapes32", "shapes32-fp16")]
    [InlineData("shapes32", "shapes32-optimized")]
    [InlineData("tiny/sd15-unet", "tiny/sd15-unet-dynamo")]
    [InlineData("tiny/sd15-unet", "tiny/sd15-unet-optimized")]
    public void One_map_does_the_same_in_every_export_of_a_checkpoint(string first, string second)
    {
        var (one, other) = (Denoiser.Of(first), Denoiser.Of(second));
        var known = other.Table.Sites.SelectMany(site => site.Names).ToHashSet();
        var shared = one.Table.Sites.Where(site => known.Contains(site.Name)).ToList();
        Assert.True(shared.Count >= 100, $"only {shared.Count} of {one.Table.Sites.Length} sites are in both");
        foreach (var (index, site) in Sample([.. shared], 6).Index())
        {
            var map = Map(one, site, index % 2 == 0 ? "linear" : "mean");
            var expected = one.Run(Denoiser.Patch(one.Model, map, Mode.Baked, 1), [one.Output])[one.Output].Data;
            var actual = other.Run(Denoiser.Patch(other.Model, map, Mode.Baked, 1), [other.Output])[other.Output].Data;
            var worst = Exports.Worst(expected, actual) / Math.Max(1, Bits.Largest(expected));
            Assert.True(worst <= other.Tolerance, $"{site.Name}: {worst}");
        }
    }

    [SharedTheory]
    [InlineData("tiny/sd15-unet", "tiny/sd15-unet-optimized", 1e-4)]
    [InlineData("shapes32", "shapes32-optimized", 2e-2)]
    public void Before_a_bias_that_the_next_operator_adds_every_mode_does_what_it_does_behind(string first, string second, double tolerance)
    {
        var (one, other, modes) = (Denoiser.Of(first), Denoiser.Of(second), new List<string>());
        var sites = other.Table.Sites.Where(site => site.Places[0].Hook == Hook.BeforeBias).ToList();
        Assert.NotEmpty(sites);
        foreach (var (index, site) in (Exhaustive.IsOn ? sites : sites.Where((_, i) => i % (1 + sites.Count / 4) == 0)).Index())
        {
            var random = new Random(site.Order);
            var largest = Bits.Largest(one.Unsteered[one.Table.Find(site.Name).Name].Data);
            var bounds = 0.4f * largest;
            ImmutableArray<float> w = [.. Enumerable.Range(0, site.Channels).Select(_ => 0.4f + 1.2f * random.NextSingle())], b = [.. w.Select(_ => (random.NextSingle() - 0.5f) * 4 * largest)];
            // Bounds part values only where rounding moves none across.
            var map = new SteeringMap([new SiteTransport(site.Name, index % 2 == 1 && !other.IsHalf
                ? Transport.Of(site.Name, w, b, [.. w.Select(_ => -bounds)], [.. w.Select(_ => bounds)]) : Transport.Of(site.Name, w, b))]);
            var (expected, plain) = (one.Run(Denoiser.Patch(one.Model, map, Mode.Baked, Strength), [one.Output])[one.Output].Data, one.Unsteered[one.Output].Data);
            Assert.True(Exports.Worst(expected, plain) > 2 * tolerance * Math.Max(1, Bits.Largest(expected)), $"{site.Name}: too little changed to tell");
            foreach (var mode in EveryMode.Of(other.Model, map, Strength))
            {
                var actual = other.Run(mode.Model, [other.Output], mode.Dials, mode.Adapter)[other.Output].Data;
                var worst = Exports.Worst(expected, actual) / Math.Max(1, Bits.Largest(expected));
                Assert.True(worst <= tolerance, $"{site.Name}, {mode.Name}: {worst}");
                modes.Add(mode.Name);
            }
        }
        Assert.Contains("folded", modes);
    }

    private static IEnumerable<Site> Sample(IReadOnlyList<Site> sites, int count) =>
        Exhaustive.IsOn ? sites : Enumerable.Range(0, count).Select(i => sites[(2 * i + 1) * sites.Count / (2 * count)]);

    // Even channels lie within the bounds, odd ones outside.
    private static SteeringMap Map(Denoiser denoiser, Site site, string method)
    {
        var random = new Random(site.Order);
        var largest = Bits.Largest(denoiser.Unsteered[site.Name].Data) + 0.1f;
        var transport = Transport.Of(site.Name,
            [.. Enumerable.Range(0, site.Channels).Select(_ => 0.7f + 0.6f * random.NextSingle())], [.. Enumerable.Range(0, site.Channels).Select(_ => (random.NextSingle() - 0.5f) * 0.3f * largest)],
            [.. Enumerable.Range(0, site.Channels).Select(channel => channel % 2 == 0 ? -2 * largest : 2 * largest)], [.. Enumerable.Range(0, site.Channels).Select(channel => channel % 2 == 0 ? 2 * largest : 3 * largest)]);
        return new SteeringMap([new SiteTransport(site.Name, transport)], new Provenance(Method: method));
    }

    // On CPU float16 is computed in float32 between casts that ONNX Runtime inserts where it sees fit: other nodes around a
    // norm, other roundings of what goes into it. Half precision is the same to its last bits only.
    private static void IsUnchanged(Denoiser denoiser, Values before, Values after, string what)
    {
        var worst = Exports.Worst(before.Data, after.Data) / Math.Max(1, Bits.Largest(before.Data));
        Assert.True(denoiser.IsHalf ? worst <= 4e-3 : Bits.Same(before.Data, after.Data), $"{what} changed by {worst:g2}");
    }

    private static void IsTransported(Site site, SteeringMap map, Values before, Values after)
    {
        var unit = site.DataType == DataType.Float16 ? 1.0 / (1 << 10) : 1.0 / (1 << 22);
        var (transport, isImage) = (map[site.Name], site.Layout != ImageLayout.None);
        var (z, y) = (GoldenSiteTests.FirstChannels(site, before), GoldenSiteTests.FirstChannels(site, after));
        // Of a feature map each channel lies together, of tokens each token's channels.
        var run = isImage ? z.Length / (int)before.Shape[0] / site.Channels : 1;
        var row = Bits.Largest(z);
        var changed = false;
        for (var start = 0; start < z.Length; start += run)
        {
            var channel = start / run % site.Channels;
            var mean = z[start..(start + run)].Average(value => (double)value);
            for (var i = start; i < start + run; i++)
            {
                var at = isImage && map.Provenance.Method == "linear" ? mean : z[i];
                var change = channel % 2 == 0 ? Strength * ((transport.W[channel] - 1.0) * at + transport.B[channel]) : 0;
                var tolerance = 4 * unit * (Math.Abs(z[i]) + Math.Abs(change) + Math.Abs(Strength * transport.B[channel]) + (isImage || site.Places[0].Hook != Hook.After || site.DataType == DataType.Float16 ? row : 0));
                Assert.True(Math.Abs(y[i] - (z[i] + change)) <= tolerance, $"{site.Name} by {map.Provenance.Method}, element {i}, channel {channel}: {z[i]:R} became {y[i]:R}, expected {z[i] + change:R} within {tolerance:g2}");
                changed |= change != 0 && y[i] != z[i];
            }
        }
        Assert.True(changed, $"{site.Name}: nothing changed");
    }
}
