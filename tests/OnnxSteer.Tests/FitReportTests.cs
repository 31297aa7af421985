namespace OnnxSteer.Tests;

/// <summary>What a fit says about itself.</summary>
public class FitReportTests
{
    [Fact]
    public void Sites_that_tell_the_sides_apart_are_suggested_and_noise_is_not()
    {
        var random = new Random(3);
        ActivationSet Side(bool isTarget) => new([.. from i in Enumerable.Range(0, 6)
            select new SiteActivations($"s{i}", Normal(random, 60, 8, isTarget ? i switch { 2 => 1, 4 => 0.4, _ => 0 } : 0, 1))]);
        var fit = Fit.Linear(Side(false), Side(true), Band.QAll);
        Assert.Equal(["s2", "s4"], fit.Advice.Take(2).Select(advice => advice.Site));
        Assert.Equal(["s2"], fit.Advice.Where(advice => advice.Suggested).Select(advice => advice.Site));
        Assert.Contains(FormattableString.Invariant($"to {fit.Sites[2].HeldOut!.DistanceAfter:0.00}"), fit.Advice[0].Reason, StringComparison.Ordinal);
        Assert.Contains("others tell the sides apart better", fit.Advice[1].Reason, StringComparison.Ordinal);
        Assert.All(fit.Advice.Skip(2), advice => Assert.Contains("beyond chance", advice.Reason, StringComparison.Ordinal));
        Assert.All(fit.Sites, site => Assert.True(site.HeldOut is { Samples: { Source: 12, Target: 12 } } && site.Separability is not null));
    }

    [Fact]
    public void Noise_in_many_channels_is_not_taken_for_a_difference()
    {
        // In 200 channels 40 + 40 samples can be told apart by any of many directions, of which none holds on others.
        var random = new Random(5);
        var report = Fit.Site(new CaaFit(), "s", Normal(random, 40, 200, 0, 1), Normal(random, 40, 200, 0, 1)).Report;
        Assert.InRange(report.Separability!.Auroc, 0.5 - (3 * report.Separability.ErrorOfChance), 0.5 + (3 * report.Separability.ErrorOfChance));
        Assert.True(report.DistanceAfter < report.DistanceBefore, "on its own samples any fit looks good");
        Assert.True(report.HeldOut!.DistanceAfter > report.HeldOut.DistanceBefore, "on others it does not");
    }

    [Fact]
    public void The_split_leaves_pairs_together()
    {
        // Each target row is its source row and a little more; the rows themselves differ widely. With half a pair in sight,
        // the other half could not be told apart as well.
        var source = Normal(new Random(1), 50, 3, 0, 1);
        var target = Matrix.Of(50, 3, [.. source.Values.ToArray().Select(z => z + 0.5f)]);
        var check = Fit.Site(new MeanFit(), "s", source, target).Report.HeldOut!;
        Assert.Equal((10, 10), (check.Samples.Source, check.Samples.Target));
        Assert.InRange(check.DistanceAfter, 0, 1e-5);
    }

    [Fact]
    public void The_effect_is_cohens_d_and_the_spread_the_ratio_of_deviations()
    {
        // Deviations 1 and 3 and means 0 and 2, then alike, then constant.
        var source = Matrix.Of(2, 3, [-MathF.Sqrt(0.5f), 1, 4, MathF.Sqrt(0.5f), 2, 4]);
        var target = Matrix.Of(2, 3, [2 - (3 * MathF.Sqrt(0.5f)), 1, 5, 2 + (3 * MathF.Sqrt(0.5f)), 2, 5]);
        var report = Fit.Site(new MeanFit(), "s", source, target).Report;
        var effect = 2 / Math.Sqrt((1 + 9) / 2.0);
        Assert.Equal(effect, report.LargestEffect!.Value, 1e-6);
        Assert.Equal(effect / 2, report.EffectSize!.Value, 1e-6);
        Assert.Equal(Math.Log(3) / 2, report.SpreadRatio!.Value, 1e-6);
        Assert.Null(report.HeldOut);
        Assert.Null(report.Separability);
        Assert.Null(report.TokensOutside);
        Assert.Null(report.ProbeAccuracy);
    }

    [Fact]
    public void The_error_of_an_auroc_of_one_half_is_that_of_ranks()
    {
        foreach (var (n, m) in new[] { (5, 9), (51, 58) })
            Assert.Equal(Math.Sqrt((n + m + 1) / (12.0 * n * m)), Classification.AurocError(0.5, n, m), 1e-12);
        Assert.True(Classification.AurocError(0.9, 51, 58) < Classification.AurocError(0.7, 51, 58));
        Assert.True(Classification.AurocError(1, 64, 64) > 0);
    }

    private static Matrix Normal(Random random, int rows, int columns, double mean, double deviation) =>
        Matrix.Of(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => (float)(mean + (deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))))]);
}
