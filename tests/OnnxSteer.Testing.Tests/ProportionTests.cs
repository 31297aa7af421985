namespace OnnxSteer.Testing.Tests;

/// <summary>Wilson's interval: published figures, its definition, its coverage and its ends.</summary>
public sealed class ProportionTests
{
    // Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3.
    [Theory]
    [InlineData(81, 263, 0.2553, 0.3662)]
    [InlineData(15, 148, 0.0624, 0.1605)]
    [InlineData(0, 20, 0.0000, 0.1611)]
    [InlineData(1, 29, 0.0061, 0.1718)]
    public void Intervals_are_those_published(int hits, int trials, double low, double high)
    {
        var share = new Proportion(hits, trials);
        Assert.Equal(low, share.Low, 5e-5);
        Assert.Equal(high, share.High, 5e-5);
    }

    // The ends are the shares p that lie 1.96 of their own standard errors sqrt(p(1-p)/n) from what was seen.
    [Theory]
    [InlineData(1, 2)]
    [InlineData(7, 40)]
    [InlineData(199, 200)]
    [InlineData(123_456, 1_000_000)]
    [InlineData(1 << 30, int.MaxValue)]
    public void Ends_lie_a_normal_quantile_from_what_was_seen(int hits, int trials)
    {
        var share = new Proportion(hits, trials);
        foreach (var end in new[] { share.Low, share.High })
            Assert.Equal(1.959964, Math.Abs(share.Value - end) / Math.Sqrt(end * (1 - end) / trials), 1e-5);
        Assert.True(share.Low < share.Value && share.Value < share.High);
    }

    [Fact]
    public void Intervals_hold_the_true_share_in_95_of_100_cases()
    {
        const int trials = 50;
        var intervals = Enumerable.Range(0, trials + 1).Select(hits => new Proportion(hits, trials)).ToList();
        var covered = Enumerable.Range(1, 999).Average(i => intervals.Index()
            .Where(entry => entry.Item.Low <= i / 1000.0 && i / 1000.0 <= entry.Item.High).Sum(entry => Binomial(entry.Index, trials, i / 1000.0)));
        Assert.InRange(covered, 0.945, 0.96);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(200)]
    [InlineData(int.MaxValue)]
    public void None_and_all_end_at_0_and_1_and_mirror_each_other(int trials)
    {
        var (none, all) = (new Proportion(0, trials), new Proportion(trials, trials));
        Assert.Equal((0.0, 1.0), (none.Value, all.Value));
        Assert.InRange(none.Low, 0, 1e-15);
        Assert.InRange(all.High, 1 - 1e-15, 1);
        Assert.InRange(none.High, double.Epsilon, 1 - 1e-15);
        Assert.Equal(none.High, 1 - all.Low, 1e-12);
    }

    private static double Binomial(int hits, int trials, double share) =>
        Enumerable.Range(0, hits).Aggregate(1.0, (sum, i) => sum * (trials - i) / (i + 1)) * Math.Pow(share, hits) * Math.Pow(1 - share, trials - hits);
}
