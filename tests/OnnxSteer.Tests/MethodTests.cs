using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

/// <summary>What tells the methods apart, on samples made for it.</summary>
public class MethodTests
{
    private static readonly IFitMethod[] All =
    [
        new LinearFit(), new MeanFit(), new GaussianFit(), new AuraFit(), new DetZeroFit(), new CaaFit(), new ItiFit(ItiDirection.MassMean), new ItiFit(ItiDirection.Probe), new PcaFit(),
    ];

    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 10)];

    public static TheoryData<string> Names => [.. All.Select(method => method.Name)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void At_equal_spread_linear_mean_and_gaussian_coincide(int seed)
    {
        var source = Normal(new Random(seed), 60, 6, 1, 2);
        var target = Map(source, z => z + 3);
        var (linear, mean, gaussian) = (Site(new LinearFit(), source, target, Band.QAll), Site(new MeanFit(), source, target), Site(new GaussianFit(), source, target));
        foreach (var channel in Enumerable.Range(0, 6))
        {
            Assert.Equal((1f, 1f, 1f), (MathF.Round(linear.W[channel], 5), mean.W[channel], MathF.Round(gaussian.W[channel], 5)));
            Assert.Equal(mean.B[channel], linear.B[channel], 1e-5);
            Assert.Equal(mean.B[channel], gaussian.B[channel], 1e-5);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void At_unequal_spread_mean_misses(int seed)
    {
        var source = Normal(new Random(seed), 40, 6, 0, 1);
        var target = Map(source, z => (3 * z) + 2);
        SiteReport Report(IFitMethod method) => Fit.Site(method, "s", source, target, Band.QAll).Report;
        Assert.InRange(Report(new LinearFit()).DistanceAfter, 0, 1e-5);
        Assert.InRange(Report(new GaussianFit()).DistanceAfter, 0, 1e-5);
        var mean = Report(new MeanFit());
        Assert.InRange(mean.DistanceAfter, 0.4, mean.DistanceBefore);
        Assert.Equal(Math.Log(3), mean.SpreadRatio!.Value, 1e-5);
        Assert.Equal(1, mean.HeldOut!.LinearBeatsMean);
        Assert.True(mean.HeldOut.DistanceAfterLinear < 1e-5 && mean.HeldOut.DistanceAfter > 0.3);
        Assert.Equal(new SampleCounts(8, 8), mean.HeldOut.Samples);
    }

    [Fact]
    public void Linear_and_gaussian_differ_where_the_shapes_do()
    {
        // The target has the source's mean and deviation, and one point far out: least squares along the plan gives less than their ratio.
        var fit = Site(new LinearFit(), Matrix.Of(4, 1, [-1, -1, 1, 1]), Matrix.Of(4, 1, [-1, -1, -1, 3]), Band.QAll);
        var gaussian = Site(new GaussianFit(), Matrix.Of(4, 1, [-1, -1, 1, 1]), Matrix.Of(4, 1, [-1, -1, -1, 3]));
        Assert.Equal(1, fit.W[0], 1e-6);
        Assert.Equal(Math.Sqrt(3), gaussian.W[0], 1e-6);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_order_of_the_samples_is_of_no_account(string name)
    {
        var method = Of(name);
        for (var seed = 0; seed < 5; seed++)
        {
            var random = new Random(seed);
            foreach (var (rows, others) in new[] { (17, 17), (17, 11) })
            {
                var (source, target) = (Normal(random, rows, 6, 0, 1), Normal(random, others, 6, 1, 2));
                var order = Shuffled(rows, random);
                // Pairs stay pairs.
                var (a, b) = (Site(method, source, target), Site(method, source.Take(order), target.Take(rows == others ? order : Shuffled(others, random))));
                Assert.All(Enumerable.Range(0, 6), c => Assert.Equal((a.W[c], a.B[c]), (b.W[c], b.B[c]), Near(method is LinearFit or MeanFit or GaussianFit or AuraFit or DetZeroFit or CaaFit ? 0 : 1e-5)));
            }
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("mean")]
    [InlineData("gaussian")]
    [InlineData("caa")]
    [InlineData("itim")]
    [InlineData("det-zero")]
    public void Another_unit_of_measure_gives_the_same_map_in_that_unit(string name)
    {
        var method = Of(name);
        for (var seed = 0; seed < 5; seed++)
        {
            var random = new Random(seed);
            var (source, target) = (Normal(random, 20, 6, 1, 1), Normal(random, 15, 6, 2, 2));
            // T'(4z + c) = 4 T(z) + c; powers of two and small whole numbers round alike.
            var (plain, moved) = (Site(method, source, target), Site(method, Map(source, z => (4 * z) + 8), Map(target, z => (4 * z) + 8)));
            foreach (var (channel, z) in from channel in Enumerable.Range(0, 6) from z in new[] { -2f, 0.5f, 3 } select (channel, z))
                Assert.Equal((4 * ((plain.W[channel] * z) + plain.B[channel])) + 8, (moved.W[channel] * ((4 * z) + 8)) + moved.B[channel], 2e-4);
        }
    }

    [Fact]
    public void Aura_damps_what_the_source_has_more_of_and_nothing_else()
    {
        // AUROC 1, 0, 7/9 and 1/2 by counting pairs.
        var source = Matrix.Of(3, 4, [10, 1, 1, 5, 11, 2, 5, 5, 12, 3, 9, 5]);
        var target = Matrix.Of(3, 4, [1, 10, 0, 5, 2, 11, 4, 5, 3, 12, 7, 5]);
        var fit = Fit.Site(new AuraFit(), "s", source, target);
        Assert.Equal([0, 1, 1 - (2 * ((6.0 / 9) - 0.5)), 1], fit.Transport.Transport.W.Select(w => (double)w), Near(1e-7));
        Assert.Equal((1, 2), (fit.Report.Dead, fit.Report.Changed));
    }

    [Fact]
    public void Average_precision_counts_as_by_hand()
    {
        Assert.Equal(1, Classification.AveragePrecision([5, 6], [1, 2]));
        // From above: hit, miss, hit, miss: 1/2*1 + 1/2*2/3.
        Assert.Equal(5.0 / 6, Classification.AveragePrecision([2, 4], [1, 3]), 1e-12);
        // Equals pass together: the threshold has 2 of 4.
        Assert.Equal(0.5, Classification.AveragePrecision([1, 1], [1, 1]), 1e-12);
        Assert.Equal(0.5, Classification.Auroc<float>([1, 1], [1, 1]));
        Assert.Equal(0.75, Classification.Auroc<float>([2, 4], [1, 3]));
    }

    [Fact]
    public void Det_zero_sets_the_units_that_tell_best_to_the_mean_of_the_target()
    {
        var source = Matrix.Of(3, 3, [1, 10, 4, 2, 11, 1, 3, 12, 9]);
        var target = Matrix.Of(3, 3, [1, 1, 3, 2, 2, 2, 3, 6, 8]);
        var transport = Site(new DetZeroFit { Units = 1 }, source, target);
        Assert.Equal([1f, 0, 1], transport.W.AsEnumerable());
        Assert.Equal([0f, 3, 0], transport.B.AsEnumerable());
        Assert.Contains("3 channels", Assert.Throws<OnnxException>(() => Site(new DetZeroFit { Units = 4 }, source, target)).Message, StringComparison.Ordinal);
        Assert.Equal(2, Fit.Site(new DetZeroFit(), "s", Normal(new Random(1), 9, 21, 0, 1), Normal(new Random(2), 9, 21, 0, 1)).Report.Changed);
    }

    [Fact]
    public void Caa_adds_the_difference_of_means_and_act_add_that_of_one_pair()
    {
        var (source, target) = (Matrix.Of(2, 2, [1, 5, 3, 5]), Matrix.Of(2, 2, [10, 5, 14, 6]));
        Assert.Equal([20f, 1], Site(new CaaFit { Coefficient = 2 }, source, target).B.AsEnumerable());
        Assert.Equal([-4.5f, 0], Site(new ActAddFit { Coefficient = -0.5f }, source.Take([0]), target.Take([0])).B.AsEnumerable());
        Assert.Contains("caa", Assert.Throws<OnnxException>(() => Site(new ActAddFit(), source, target.Take([0]))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Pca_finds_the_direction_along_which_differences_vary_and_points_it_at_the_target(int seed)
    {
        var random = new Random(seed);
        var source = Normal(random, 40, 5, 0, 1);
        float[] along = [0.6f, 0, -0.8f, 0, 0];
        // Each row moves along one direction, mostly forwards, and a little by noise.
        var target = Matrix.Of(40, 5, [.. Enumerable.Range(0, 40).SelectMany(row =>
        {
            var step = 1 + (3 * random.NextSingle());
            return Enumerable.Range(0, 5).Select(c => source[row, c] + (step * along[c]) + (0.01f * random.NextSingle()));
        })]);
        var paired = Site(new PcaFit { Coefficient = 2 }, source, target);
        Assert.All(Enumerable.Range(0, 5), c => Assert.Equal(2 * along[c], paired.B[c], 0.05));
        Assert.Equal(2, Math.Sqrt(paired.B.Sum(b => (double)b * b)), 1e-5);
        // Without pairs: the sides differ along it more than either varies.
        var unpaired = Site(new PcaFit(), Map(source, z => 0.1f * z), Map(target.Take([.. Enumerable.Range(0, 30)]), z => z));
        Assert.Equal(1, Math.Sqrt(unpaired.B.Sum(b => (double)b * b)), 1e-5);
        var swapped = Site(new PcaFit(), target, source);
        Assert.All(Enumerable.Range(0, 5), c => Assert.Equal(-along[c], swapped.B[c], 0.05));
    }

    [Fact]
    public void Pca_with_more_rows_than_channels_equals_that_with_fewer()
    {
        // Channels that are 0 throughout change nothing, and turn the product of columns into that of rows.
        var random = new Random(5);
        var (source, target) = (Normal(random, 12, 6, 0, 1), Normal(random, 12, 6, 1, 2));
        Matrix Wide(Matrix values) => Matrix.Of(12, 20, [.. Enumerable.Range(0, 12).SelectMany(row => values.Row(row).ToArray().Concat(new float[14]))]);
        var (narrow, wide) = (Site(new PcaFit(), source, target), Site(new PcaFit(), Wide(source), Wide(target)));
        Assert.All(Enumerable.Range(0, 6), c => Assert.Equal(narrow.B[c], wide.B[c], 1e-6));
    }

    [Fact]
    public void Iti_c_is_where_the_gradient_of_its_loss_vanishes()
    {
        foreach (var (rows, channels) in new[] { (30, 4), (8, 20) })
        {
            var random = new Random(rows);
            var (source, target) = (Normal(random, rows, channels, 0, 1), Normal(random, rows - 2, channels, 0.7, 1.5));
            var unit = Site(new ItiFit(ItiDirection.Probe) { Alpha = 1 }, source, target).B.Select(b => (double)b).ToArray();
            var length = Math.Sqrt(unit.Sum(u => u * u));
            // At the optimum w = sum of y*(1 - p)*z, so that w lies along that sum; only the length of w and b are unknown.
            var (low, high) = (0.0, 100.0);
            for (var i = 0; i < 60; i++)
            {
                var middle = (low + high) / 2;
                (low, high) = Gradient(middle).Zip(unit, (g, u) => g * u).Sum() < 0 ? (middle, high) : (low, middle);
            }
            Assert.InRange(low, 0.01, 50);
            Assert.InRange(Math.Sqrt(Gradient(low).Sum(g => g * g)) / low, 0, 1e-5);

            double[] Gradient(double size)
            {
                double[] w = [.. unit.Select(u => size * u / length)];
                var b = Bias(source, target, w);
                var gradient = w.ToArray();
                foreach (var (side, sign) in new[] { (source, -1), (target, 1) })
                    foreach (var (row, margin) in side.Project(w).Index())
                        for (var c = 0; c < channels; c++)
                            gradient[c] -= sign * side[row, c] / (1 + Math.Exp(sign * (margin + b)));
                return gradient;
            }
        }
    }

    [Fact]
    public void Iti_keeps_the_sites_whose_probes_are_best()
    {
        var random = new Random(4);
        // Site 1 and 3 are told apart, the others not.
        ActivationSet Side(double shift) => new(Enumerable.Range(0, 5).Select(i => new SiteActivations($"s{i}", Normal(random, 40, 4, i is 1 or 3 ? shift : 0, 1))));
        var (source, target) = (Side(0), Side(2));
        foreach (var direction in Enum.GetValues<ItiDirection>())
        {
            var fit = Fit.Of(new ItiFit(direction) { Heads = 2, Alpha = 1 }, source, target);
            Assert.Equal(["s1", "s3"], fit.Map.Sites.Select(site => site.Site));
            Assert.Equal(["s1", "s3"], fit.Sites.Where(site => site.InMap).Select(site => site.Site));
            Assert.All(fit.Sites, site => Assert.Equal(site.InMap, site.ProbeAccuracy > 0.9));
            Assert.All(fit.Sites.Where(site => !site.InMap), site => Assert.InRange(site.ProbeAccuracy!.Value, 0.2, 0.75));
            Assert.Equal("alpha=1 heads=2", fit.Map.Provenance.Settings);
            Assert.Equal(5, Fit.Of(new ItiFit(direction), source, target).Map.Sites.Length);
        }
        Assert.Contains("ranks", Assert.Throws<OnnxException>(() => Fit.CheckCausal(new ItiFit(ItiDirection.Probe))).Message, StringComparison.Ordinal);
        Fit.CheckCausal(new LinearFit());
    }

    [Fact]
    public void The_step_of_iti_is_alpha_standard_deviations_of_the_projections()
    {
        var (source, target) = (Matrix.Of(2, 2, [0, 1, 0, 3]), Matrix.Of(2, 2, [3, 1, 5, 3]));
        // Theta is (1, 0); projections 0, 0, 3, 5: variance 34/4 - 4.
        Assert.Equal([(float)(2 * Math.Sqrt(4.5)), 0], Site(new ItiFit(ItiDirection.MassMean) { Alpha = 2 }, source, target).B.AsEnumerable());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Bad_data_is_an_error_or_a_map_that_changes_nothing(string name)
    {
        var method = Of(name);
        var good = Normal(new Random(1), 6, 3, 0, 1);
        string Refused(Matrix source, Matrix target) => Assert.Throws<OnnxException>(() => Fit.Of(method, Set(source), Set(target))).Message;
        Assert.Contains("no samples", Refused(Matrix.Of(0, 3, []), good), StringComparison.Ordinal);
        Assert.Contains("no samples", Refused(good, Matrix.Of(0, 3, [])), StringComparison.Ordinal);
        foreach (var bad in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
            Assert.Contains("source activation of site 's' in sample 1, channel 2", Refused(Matrix.Of(2, 3, [1, 2, 3, 4, 5, bad]), good), StringComparison.Ordinal);

        // Everything constant, and equal on both sides: nothing to do for any method.
        var constant = Matrix.Of(6, 3, [.. Enumerable.Repeat(2f, 18)]);
        Assert.Contains("changes nothing", method is DetZeroFit ? "changes nothing" : Refused(constant, constant), StringComparison.Ordinal);
        // Source = target, and one sample a side: a map of finite numbers, its identity an error that says so.
        foreach (var (source, target) in new[] { (good, good), (good.Take([0]), good.Take([1])), (good, good.Take([0])), (constant, good), (good, constant) })
        {
            try
            {
                var fit = Fit.Of(method, Set(source), Set(target));
                Assert.All(fit.Sites, site => Assert.True(double.IsFinite(site.DistanceBefore) && double.IsFinite(site.DistanceAfter) && (site.EffectSize is not { } effect || double.IsFinite(effect))));
                Assert.False(fit.Map.IsIdentity);
            }
            catch (OnnxException e)
            {
                Assert.Matches("changes nothing|at least two of each side", e.Message);
            }
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("mean")]
    [InlineData("gaussian")]
    [InlineData("caa")]
    [InlineData("itim")]
    [InlineData("itic")]
    [InlineData("pca")]
    public void Source_equal_to_target_is_refused(string name)
    {
        var good = Normal(new Random(1), 6, 3, 0, 1);
        Assert.Contains("changes nothing", Assert.Throws<OnnxException>(() => Fit.Of(Of(name), Set(good), Set(good))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Constant_channels_are_left_alone_beside_others()
    {
        var random = new Random(2);
        Matrix WithConstant(double mean, float constant) =>
            Matrix.Of(20, 3, [.. Normal(random, 20, 3, mean, 1).Values.ToArray().Select((z, i) => i % 3 == 1 ? constant : z)]);
        var (source, target) = (WithConstant(0, 7), WithConstant(1, 7));
        foreach (var method in All)
        {
            var fit = Fit.Site(method, "s", source, target);
            if (method is not DetZeroFit)
                Assert.Equal(0, Math.Round(fit.Transport.Transport.B[1] + (7 * (fit.Transport.Transport.W[1] - 1)), 5));
            Assert.True(fit.Report.Separability!.IsBeyondChance, method.Name);
        }
    }

    [Fact]
    public void Defaults_are_those_of_the_papers()
    {
        Assert.Equal(["linear", "mean", "gaussian", "aura", "det-zero", "caa", "itim", "itic", "pca"], All.Select(method => method.Name));
        Assert.All(All, method => Assert.Equal(method is LinearFit ? Band.Q0To100 : Band.QAll, method.DefaultBand));
        Assert.Equal(["mean", "mean", "mean", "max", "mean", "last", "last", "last", "mean"], All.Select(method => method.DefaultPooling.Name()));
        Assert.Equal((15, 48), (new ItiFit(ItiDirection.Probe).Alpha, new ItiFit(ItiDirection.Probe).Heads));
    }

    private static IFitMethod Of(string name) => All.Single(method => method.Name == name);

    private static Transport Site(IFitMethod method, Matrix source, Matrix target, Band? band = null) => method.Estimate(new SiteSamples("s", source, target), band ?? method.DefaultBand).Transport;

    private static ActivationSet Set(Matrix values) => new([new SiteActivations("s", values)]);

    private static Matrix Normal(Random random, int rows, int columns, double mean, double deviation) =>
        Matrix.Of(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => (float)(mean + (deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))))]);

    private static Matrix Map(Matrix values, Func<float, float> map) => Matrix.Of(values.Rows, values.Columns, [.. values.Values.ToArray().Select(map)]);

    private static int[] Shuffled(int count, Random random)
    {
        var rows = Enumerable.Range(0, count).ToArray();
        random.Shuffle(rows);
        return rows;
    }

    private static double Bias(Matrix source, Matrix target, double[] w)
    {
        var (low, high) = (-50.0, 50.0);
        var (a, b) = (source.Project(w), target.Project(w));
        for (var i = 0; i < 80; i++)
        {
            var middle = (low + high) / 2;
            var slope = b.Sum(m => 1 / (1 + Math.Exp(m + middle))) - a.Sum(m => 1 / (1 + Math.Exp(-m - middle)));
            (low, high) = slope > 0 ? (middle, high) : (low, middle);
        }
        return low;
    }

    private static Close Near(double allowed) => new(allowed);

    private sealed class Close(double allowed) : IEqualityComparer<double>, IEqualityComparer<(float, float)>
    {
        public bool Equals(double a, double b) => Math.Abs(a - b) <= allowed;

        public bool Equals((float, float) a, (float, float) b) => Equals(a.Item1, b.Item1) && Equals(a.Item2, b.Item2);

        public int GetHashCode(double value) => 0;

        public int GetHashCode((float, float) value) => 0;
    }
}
