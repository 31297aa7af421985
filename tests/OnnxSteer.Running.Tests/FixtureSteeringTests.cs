using OnnxSteer.Fixtures;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// Sites of every export steered one at a time: strength 0 keeps every bit of the logits; read from runs with every site tapped on
/// both sides, those before keep every bit and the site itself becomes <c>T</c> of what it was. A sample of them, or all
/// where <c>ONNXSTEER_EXHAUSTIVE=1</c>.
/// </summary>
public sealed class FixtureSteeringTests
{
    private static readonly SessionOptions Plain = Runner.OneThread with { OptimizationLevel = OptimizationLevel.Disabled };

    public static TheoryData<string> AllFixtures => Exports.AllFixtures;

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void Strength_0_changes_no_bit_of_the_logits(string export)
    {
        var subject = Subject.Of(export);
        using var unsteered = new Runner(subject.Model);
        var (expected, differing) = (unsteered.Logits(subject.Rows), new List<string>());
        foreach (var site in Sample(subject).Where(site => !ChangesBits(export, site)))
        {
            using var steered = new Runner(Steered(subject, site, 0));
            if (!Bits.Same(expected, steered.Logits(subject.Rows)))
                differing.Add($"{site.Name} by {Exports.Worst(expected, steered.Logits(subject.Rows)):g2}");
        }
        Assert.True(differing.Count == 0, string.Join('\n', differing));
    }

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void A_steered_site_is_the_transport_of_what_it_was_and_nothing_before_it_changes(string export)
    {
        const float strength = 0.7f;
        var subject = Subject.Of(export);
        // Without optimizations, since an inserted node may part what ONNX Runtime would have fused (GELU).
        var before = Exports.Activations(subject.Model, subject.Table.Sites, subject.Rows, null, Plain);
        var wrong = new List<string>();
        foreach (var site in Sample(subject))
        {
            var steered = Steered(subject, site, strength);
            var after = Exports.Activations(steered, SiteTable.Of(steered).Sites, subject.Rows, null, Plain);
            foreach (var other in subject.Table.Sites.Where(other => other.Order < site.Order && !other.Places.Any(place => site.Places.Any(at => at.NodeIndex == place.NodeIndex))))
                if (!Bits.Same(before[other.Name], after[other.Name]))
                    wrong.Add($"{site.Name} steered: {other.Name}, before it, changed by {Exports.Worst(before[other.Name], after[other.Name]):g2}");
            if (Worst(site, subject.Transport(site, Kind.Affine), strength, before[site.Name], after[site.Name]) is var worst && worst > 1)
                wrong.Add($"{site.Name}: {worst:g3} times as far from T(z) as rounding explains");
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
    }

    [SharedTheory]
    [InlineData("stories260k/optimum", "stories260k/")]
    [InlineData("tiny/gpt2-optimum", "tiny/gpt2")]
    [InlineData("tiny/qwen2-optimum", "tiny/qwen2")]
    [InlineData("tiny/qwen3-optimum", "tiny/qwen3")]
    [InlineData("tiny/gemma3-optimum", "tiny/gemma3")]
    public void Float32_exports_of_one_checkpoint_are_steered_alike(string first, string prefix)
    {
        var (subject, wrong, compared) = (Subject.Of(first), new List<string>(), 0);
        foreach (var export in Exports.Fixtures.Where(export => export != first && export.StartsWith(prefix, StringComparison.Ordinal) && Exports.ToleranceOf(export) is <= 1e-4))
        {
            var other = Subject.Of(export);
            foreach (var site in Sample(subject))
            {
                // Norms of heads may lie side by side or on an axis of their own.
                var there = other.Table.Find(site.Name);
                if (there.Channels != site.Channels)
                    continue;
                var map = subject.Map(Kind.Affine, site);
                var worst = Exports.Worst(Exports.Logits(Exports.Patch(subject.Model, map, Mode.Baked, 0.8f), subject.Rows), Exports.Logits(Exports.Patch(other.Model, map, Mode.Baked, 0.8f), subject.Rows));
                compared++;
                if (worst > 2e-4)
                    wrong.Add($"{site.Name} in {export}: {worst}");
            }
        }
        Assert.True(compared > 0);
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    // Some of each kind of place, and some more; a session of the largest model takes seconds to open.
    private static IEnumerable<Site> Sample(Subject subject)
    {
        var sites = subject.Table.Sites;
        if (Exhaustive.IsOn)
            return sites;
        var step = subject.Export.StartsWith("smollm2", StringComparison.Ordinal) ? 230 : 1 + sites.Length / 5;
        return sites.GroupBy(site => (site.Places[0].Hook, site.Places.Length, site.Places[0].At.Range is null, site.Rank)).Select(kind => kind.ElementAt(kind.Count() / 2))
            .Concat(sites.Where(site => site.Order % step == step / 2)).Distinct();
    }

    private static Model Steered(Subject subject, Site site, float strength) =>
        subject.Model.Apply(Steering.Patch(subject.Model, subject.Map(Kind.Affine, site), new SteeringOptions { Mode = site.Order % 2 == 0 ? Mode.Baked : Mode.Live, Strength = strength, AllowIdentity = true }));

    // Measured, with no tap at all: ONNX Runtime computes float16 on the CPU in float32 between casts, and drops pairs of casts that
    // an inserted node parts, so that sums round once more or less.
    private static bool ChangesBits(string export, Site site) =>
        site.DataType == DataType.Float16 || (export == "tiny/gpt2-dynamo" && site.Name == "transformer.h.2")
        // ONNX Runtime fuses the head with the division of the soft cap behind it, which an inserted node parts.
        || (export == "tiny/gemma2-optimum-eager" && site.Name == "lm_head");

    // How far from T(z), in units of what rounding explains.
    private static double Worst(Site site, Transport transport, float strength, float[] before, float[] after)
    {
        var (unit, worst) = (site.DataType == DataType.Float16 ? 1.0 / (1 << 10) : 1.0 / (1 << 23), 0.0);
        Assert.Equal(before.Length, after.Length);
        for (var token = 0; token < before.Length / site.Channels; token++)
        {
            var largest = Bits.Largest(before.AsSpan(token * site.Channels, site.Channels));
            for (var channel = 0; channel < site.Channels; channel++)
            {
                var (z, y) = ((double)before[token * site.Channels + channel], after[token * site.Channels + channel]);
                double change = strength * (transport.W[channel] - 1.0), shift = (double)strength * transport.B[channel];
                var tolerance = unit * (2 * Math.Abs(z) + 2 * Math.Abs(change * z) + Math.Abs(shift)) + (site.Places[0].Hook == Hook.After ? 0 : 2 * unit * largest) + 1e-30;
                worst = Math.Max(worst, Math.Abs(y - (z + change * z + shift)) / tolerance);
            }
        }
        return worst;
    }
}
