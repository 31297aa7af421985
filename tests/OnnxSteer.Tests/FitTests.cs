using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public class FitTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 10)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Linear_finds_the_line_between_affinely_related_samples(int seed)
    {
        var random = new Random(seed);
        var source = Draw(random, 20, 9);
        float[] w = [.. Enumerable.Range(0, 9).Select(_ => (float)((random.NextDouble() * 3) + 0.1))];
        float[] b = [.. Enumerable.Range(0, 9).Select(_ => (float)((random.NextDouble() * 10) - 5))];
        var transport = Site(new LinearFit(), source, Map(source, (z, c) => (w[c] * z) + b[c])).Transport.Transport;
        for (var c = 0; c < 9; c++)
        {
            Assert.Equal(w[c], transport.W[c], 2e-6 * (1 + Math.Abs(b[c])));
            Assert.Equal(b[c], transport.B[c], 2e-6 * (1 + Math.Abs(b[c])));
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void A_reversed_target_is_fitted_by_rank_not_by_row(int seed)
    {
        var source = Draw(new Random(seed), 15, 4);
        var fit = Site(new LinearFit(), source, Map(source, (z, _) => -z)).Transport.Transport;
        Assert.All(fit.W, w => Assert.True(w > 0, "transport on the line never reverses the order"));
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Mean_and_linear_coincide_at_equal_spread(int seed)
    {
        var source = Draw(new Random(seed), 12, 5);
        var target = Map(source, (z, c) => z + c + 0.5f);
        var linear = Site(new LinearFit(), source, target, Band.QAll).Transport.Transport;
        var mean = Site(new MeanFit(), source, target, Band.QAll).Transport.Transport;
        Assert.All(linear.W, w => Assert.Equal(1, w, 1e-5));
        Assert.All(Enumerable.Range(0, 5), c => Assert.Equal(c + 0.5, mean.B[c], 1e-5));
        Assert.All(Enumerable.Range(0, 5), c => Assert.Equal(mean.B[c], linear.B[c], 1e-5));
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void The_order_of_the_samples_is_of_no_account(int seed)
    {
        var random = new Random(seed);
        var (source, target) = (Draw(random, 17, 6), Draw(random, 11, 6));
        foreach (IFitMethod method in new IFitMethod[] { new LinearFit(), new MeanFit() })
            Assert.Equal(
                WithoutSplit(Site(method, source, target, Band.Of(5, 95))),
                WithoutSplit(Site(method, Shuffle(source, random), Shuffle(target, random), Band.Of(5, 95))));

        // Which samples are held out goes by their number.
        static SiteFit WithoutSplit(SiteFit fit) => fit with { Report = fit.Report with { HeldOut = null, Separability = null } };
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Samples_repeated_on_one_side_change_nothing(int seed)
    {
        var random = new Random(seed);
        var (source, target) = (Draw(random, 8, 6), Draw(random, 8, 6));
        var thrice = Matrix.Of(24, 6, [.. target.Values, .. target.Values, .. target.Values]);
        var once = Site(new LinearFit(), source, target).Transport.Transport;
        var uneven = Site(new LinearFit(), source, thrice).Transport.Transport;
        Assert.All(Enumerable.Range(0, 6), c => Assert.Equal(once.W[c], uneven.W[c], 1e-6));
        Assert.All(Enumerable.Range(0, 6), c => Assert.Equal(once.B[c], uneven.B[c], 1e-6));
    }

    [Fact]
    public void Unequal_counts_couple_the_quantile_functions()
    {
        // The plan moves 0 to 0 (1/3), 0 to 3 (1/6), 6 to 3 (1/6) and 6 to 6 (1/3): covariance 5, variance 9, means 3 and 3 by hand.
        var fit = Site(new LinearFit(), Matrix.Of(2, 1, [6, 0]), Matrix.Of(3, 1, [3, 6, 0]), Band.QAll);
        Assert.Equal(2f / 3, fit.Transport.Transport.W[0], 1e-6);
        Assert.Equal(1f, fit.Transport.Transport.B[0], 1e-6);
        // By the same plan the distance is 3/6 + 3/6 = 1 before; after, 1 and 5 go to 0 (1/3), 3 (1/6), 3 (1/6), 6 (1/3).
        var unit = Math.Sqrt((9.0 + 6.0) / 2);
        Assert.Equal(1 / unit, fit.Report.DistanceBefore, 1e-6);
        Assert.Equal(((1.0 + 2.0 / 2 + 2.0 / 2 + 1.0) / 3) / unit, fit.Report.DistanceAfter, 1e-6);
    }

    [Fact]
    public void The_report_counts_what_was_left_alone()
    {
        // Channel 0 is constant in the source, 1 already alike, 2 shifted by 10, 3 constant but for the rounding of a large value.
        var source = Matrix.Of(4, 4, [5, 1, 0, 24500, 5, 2, 1, 24500, 5, 3, 2, MathF.BitIncrement(24500), 5, 4, 3, 24500]);
        var target = Matrix.Of(4, 4, [1, 4, 10, 1, 2, 3, 11, 2, 3, 2, 12, 3, 4, 1, 13, 4]);
        var fit = Site(new LinearFit(), source, target);
        Assert.Equal([1f, 1, 1, 1], fit.Transport.Transport.W.AsEnumerable());
        Assert.Equal([0f, 0, 10, 0], fit.Transport.Transport.B.AsEnumerable());
        Assert.Equal((4, 2, 1), (fit.Report.Channels, fit.Report.Dead, fit.Report.Changed));
        Assert.Equal(new SampleCounts(4, 4), fit.Report.Samples);
        // q_0_100 is strict: two of four samples lie on the bounds.
        Assert.Equal(0.5, fit.Report.Outside);
        Assert.Equal(0, Site(new LinearFit(), source, target, Band.QAll).Report.Outside);
        Assert.True(fit.Report.DistanceAfter < fit.Report.DistanceBefore);
    }

    [Fact]
    public void Distances_are_in_units_of_the_spread_of_both_sides_together()
    {
        var report = Site(new MeanFit(), Matrix.Of(2, 2, [0, 3, 2, 3]), Matrix.Of(2, 2, [10, 3, 14, 3])).Report;
        // Channel 0: 10 and 12 away; variances 1 and 4, means 1 and 12. Channel 1 is constant and counts as 0.
        Assert.Equal(11 / Math.Sqrt(2.5 + (5.5 * 5.5)) / 2, report.DistanceBefore, 1e-9);
        Assert.Equal(1 / Math.Sqrt(2.5 + (5.5 * 5.5)) / 2, report.DistanceAfter, 1e-9);
    }

    [Fact]
    public void A_perfect_map_leaves_no_distance()
    {
        var source = Draw(new Random(3), 30, 4);
        var report = Site(new LinearFit(), source, Map(source, (z, _) => (2 * z) + 1), Band.QAll).Report;
        Assert.InRange(report.DistanceBefore, 0.1, 2);
        Assert.InRange(report.DistanceAfter, 0, 1e-6);
    }

    [Fact]
    public void Mean_leaves_a_channel_alone_where_either_side_is_constant()
    {
        var fit = Site(new MeanFit(), Matrix.Of(2, 3, [1, 1, 1, 1, 2, 2]), Matrix.Of(2, 3, [1, 5, 5, 2, 5, 6]));
        Assert.Equal([0f, 0, 4], fit.Transport.Transport.B.AsEnumerable());
        Assert.Equal(2, fit.Report.Dead);
        Assert.Null(fit.Transport.Transport.Support);
    }

    [Fact]
    public void A_map_that_would_change_nothing_is_an_error_that_says_why()
    {
        var samples = Draw(new Random(1), 6, 3);
        foreach (var (source, target) in new[]
                 {
                     (samples, samples),
                     (Matrix.Of(1, 3, [1, 2, 3]), Matrix.Of(1, 3, [4, 5, 6])),
                     (Matrix.Of(2, 3, [1, 2, 3, 1, 2, 3]), Matrix.Of(2, 3, [4, 5, 6, 7, 8, 9])),
                 })
        {
            var error = Assert.Throws<OnnxException>(() => Fit.Mean(Set(("s", source)), Set(("s", target))));
            Assert.Contains("changes nothing", error.Message, StringComparison.Ordinal);
            Assert.Throws<OnnxException>(() => Fit.Linear(Set(("s", source)), Set(("s", target))));
            Assert.True(Site(new LinearFit(), source, target).Transport.Transport.IsIdentity);
        }
    }

    [Fact]
    public void One_site_may_stay_as_it_is_where_another_changes()
    {
        var samples = Draw(new Random(1), 6, 3);
        var shifted = Map(samples, (z, _) => z + 1);
        var result = Fit.Mean(Set(("same", samples), ("moved", samples)), Set(("moved", shifted), ("same", samples)));
        Assert.Equal(["same", "moved"], result.Map.Sites.Select(s => s.Site));
        Assert.Equal([0, 3], result.Sites.Select(s => s.Changed));
        Assert.True(result.Map["same"].IsIdentity);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_value_that_is_not_finite_is_named(float value)
    {
        var good = Matrix.Of(2, 2, [1, 2, 3, 4]);
        var bad = Matrix.Of(2, 2, [1, 2, 3, value]);
        var error = Assert.Throws<OnnxException>(() => Fit.Linear(Set(("here", good)), Set(("here", bad))));
        Assert.Contains("target activation of site 'here' in sample 1, channel 1", error.Message, StringComparison.Ordinal);
        Assert.Contains("source", Assert.Throws<OnnxException>(() => Fit.Linear(Set(("here", bad)), Set(("here", good)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sides_that_do_not_fit_together_are_refused()
    {
        var (two, three) = (Matrix.Of(2, 2, [1, 2, 3, 4]), Matrix.Of(2, 3, [1, 2, 3, 4, 5, 6]));
        Assert.Contains("2 channels", Refused(Set(("s", two)), Set(("s", three))), StringComparison.Ordinal);
        Assert.Contains("'t'", Refused(Set(("s", two), ("t", two)), Set(("s", two))), StringComparison.Ordinal);
        Assert.Contains("'t' has activations in the target only", Refused(Set(("s", two)), Set(("s", two), ("t", two))), StringComparison.Ordinal);
        Assert.Contains("no samples", Refused(Set(("s", Matrix.Of(0, 2, []))), Set(("s", two))), StringComparison.Ordinal);
        Assert.Contains("'mean'", Refused(Set(new(Pooling: "mean"), two), Set(new(Pooling: "last"), two)), StringComparison.Ordinal);
        Assert.Contains("different models",
            Refused(Set(new(Fingerprint: new("p", "g", "w")), two), Set(new(Fingerprint: new("p", "g", "v")), two)), StringComparison.Ordinal);
    }

    [Fact]
    public void The_map_records_what_it_was_fitted_on()
    {
        var source = Draw(new Random(1), 6, 3);
        var fingerprint = new Fingerprint("p", "g", "w");
        var map = Fit.Linear(Set(new("mean", "aa", "t", fingerprint), source), Set(new("mean", "bb", "t", fingerprint), Draw(new Random(2), 5, 3)), Band.Of(5, 95)).Map;
        Assert.Equal(
            new Provenance("linear", "mean", "q_5_95", false, null, new SampleCounts(6, 5), "aa", "bb", Provenance.ThisTool, null, fingerprint), map.Provenance);
        Assert.Matches(@"^onnxsteer \d+\.\d+\.\d+$", Provenance.ThisTool);
    }

    [Fact]
    public void Defaults_are_those_of_the_reference()
    {
        var (source, target) = (Set(("s", Draw(new Random(1), 6, 3))), Set(("s", Draw(new Random(2), 6, 3))));
        Assert.Equal("q_0_100", Fit.Linear(source, target).Map.Provenance.Band);
        Assert.Equal("q_all", Fit.Mean(source, target).Map.Provenance.Band);
    }

    [Theory]
    [InlineData("q_all")]
    [InlineData("q_0_100")]
    [InlineData("q_0.5_99.5")]
    [InlineData("q_40_60")]
    public void Bands_are_read_and_written_by_name(string name)
    {
        Assert.Equal(name, Band.Parse(name).ToString());
        Assert.Equal(Band.Parse(name), Band.Parse(name));
        Assert.Equal(name == "q_all", Band.Parse(name) == Band.QAll);
        Assert.Equal(name == "q_0_100", Band.Parse(name) == Band.Q0To100);
    }

    [Theory]
    [InlineData("")]
    [InlineData("q_")]
    [InlineData("q_5")]
    [InlineData("q_95_5")]
    [InlineData("q_5_5")]
    [InlineData("q_-1_5")]
    [InlineData("q_5_101")]
    [InlineData("q_a_b")]
    [InlineData("q_NaN_5")]
    [InlineData("q_5_95_3")]
    [InlineData("p_5_95")]
    [InlineData("q_5,0_95")]
    public void Names_that_are_no_band_are_refused(string name) => Assert.Throws<OnnxException>(() => Band.Parse(name));

    [Fact]
    public void Moments_of_one_and_of_constant_samples()
    {
        Assert.Equal(new Moments(3, 0), Moments.Of([3]));
        Assert.Equal(new Moments(0.1f, 0), Moments.Of([0.1f, 0.1f, 0.1f]));
        Assert.Equal(new Moments(2, Math.Sqrt(2)), Moments.Of([1, 3]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Moments.Of([]));
    }

    private static SiteFit Site(IFitMethod method, Matrix source, Matrix target, Band? band = null) => Fit.Site(method, "s", source, target, band);

    private static ActivationSet Set(params (string Site, Matrix Values)[] sites) => new(sites.Select(s => new SiteActivations(s.Site, s.Values)));

    private static ActivationSet Set(ActivationOrigin origin, Matrix values) => new([new SiteActivations("s", values)], origin);

    private static string Refused(ActivationSet source, ActivationSet target) => Assert.Throws<OnnxException>(() => Fit.Linear(source, target)).Message;

    private static Matrix Draw(Random random, int rows, int columns)
        => Matrix.Of(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => (float)((random.NextDouble() * 4) - 2))]);

    private static Matrix Map(Matrix values, Func<float, int, float> map)
        => Matrix.Of(values.Rows, values.Columns, [.. values.Values.ToArray().Select((z, i) => map(z, i % values.Columns))]);

    private static Matrix Shuffle(Matrix values, Random random)
    {
        var rows = Enumerable.Range(0, values.Rows).ToArray();
        random.Shuffle(rows);
        return Matrix.Of(values.Rows, values.Columns, [.. rows.SelectMany(row => values.Row(row).ToArray())]);
    }
}
