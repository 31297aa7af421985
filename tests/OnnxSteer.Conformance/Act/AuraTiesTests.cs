using OnnxSteer.Fixtures;

namespace OnnxSteer.Conformance;

/// <summary>
/// AurA ranks samples, and prompts that begin alike have the same largest activation: mathematically ties, which the rounding of
/// the reference's run parts in one way and that of ours in another. No other pairs may be ranked differently.
/// </summary>
public sealed class AuraTiesTests
{
    // As near as pooled activations are to be reproduced.
    private const float Rounding = 1e-5f;

    [SharedTheory, MemberData(nameof(ActCaptureTests.All), MemberType = typeof(ActCaptureTests))]
    public void Only_ties_of_rounding_are_ranked_otherwise_than_in_the_reference(string export)
    {
        using var expected = ActGolden.Open("fit_atonce");
        var (widths, parted) = (new List<double>(), 0);
        foreach (var site in ActGolden.Sites)
        {
            var samples = new SiteSamples(site, ActGolden.Captured(export, Pooling.Max, "source")[site], ActGolden.Captured(export, Pooling.Max, "target")[site]);
            var theirs = expected.ReadSingles($"aura/{site}/auroc");
            for (var channel = 0; channel < samples.Channels; channel++)
            {
                var (source, target) = (samples.SortedSource(channel).ToArray(), samples.SortedTarget(channel).ToArray());
                double Share(float margin) => (from a in source from b in target where a > b + margin select 1).Count() / (double)(source.Length * target.Length);
                var (least, most) = (Share(Rounding), Share(-Rounding));
                Assert.InRange(theirs[channel], least - 1e-6, most + 1e-6);
                Assert.InRange(Classification.Auroc<float>(source, target), least, most);
                widths.Add(most - least);
                parted += Math.Abs(theirs[channel] - Classification.Auroc<float>(source, target)) > 1e-6 ? 1 : 0;
            }
        }
        // The bounds say something: in most channels hardly any pair is a tie.
        Assert.InRange(widths.Order().ElementAt(widths.Count / 2), 0, 0.02);
        Assert.InRange(parted, 0, widths.Count / 2);
    }
}
