using System.Text.RegularExpressions;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tests;

/// <summary>Fits against the reference vectors: parameters to 2e-6 relative (float32 rounding allows 6e-8), bounds to the bit.</summary>
public class FitGoldenTests
{
    private const double Tolerance = 2e-6;

    [SharedFact]
    public void Linear_of_mean_pooling_and_every_band()
    {
        using var pooled = Golden.Open("pooled");
        using var expected = Golden.Open("fit_atonce");
        foreach (var site in Golden.Sites)
        {
            var source = pooled.ReadMatrix($"{site}/mean/source");
            var target = pooled.ReadMatrix($"{site}/mean/target");
            var free = Fit.Site(new LinearFit(), site, source, target, Band.QAll).Transport.Transport;
            Assert.Null(free.Support);
            Within(expected.ReadDoubles($"linear_ot/{site}/w64_nonoise"), free.W);
            Within(expected.ReadDoubles($"linear_ot/{site}/b64_nonoise"), free.B);
            foreach (var band in Golden.Bands)
            {
                var bounded = Fit.Site(new LinearFit(), site, source, target, Band.Parse(band)).Transport.Transport;
                Assert.Equal(free.W.AsEnumerable(), bounded.W);
                Assert.Equal(expected.ReadSingles($"linear_ot/{site}/{band}/lo"), bounded.Support!.Lo);
                Assert.Equal(expected.ReadSingles($"linear_ot/{site}/{band}/hi"), bounded.Support.Hi);
            }
        }
    }

    [SharedTheory]
    [InlineData("min")]
    [InlineData("max")]
    [InlineData("last")]
    public void Linear_of_other_poolings_leaves_dead_channels_alone(string pooling)
    {
        using var pooled = Golden.Open("pooled");
        using var expected = Golden.Open("fit_atonce");
        var dead = 0;
        foreach (var site in Golden.Sites)
        {
            var source = pooled.ReadMatrix($"{site}/{pooling}/source");
            var fit = Fit.Site(new LinearFit(), site, source, pooled.ReadMatrix($"{site}/{pooling}/target"));
            var transport = fit.Transport.Transport;
            bool Alive(int channel) => Deviation(source, channel) >= 1e-6;
            dead += fit.Report.Dead;
            Assert.Equal(Enumerable.Range(0, 64).Count(c => !Alive(c)), fit.Report.Dead);
            Assert.All(Enumerable.Range(0, 64), c => Assert.True(Alive(c) || (transport.W[c] == 1 && transport.B[c] == 0)));
            WithinNoise(expected.ReadSingles($"linear_ot@{pooling}/{site}/w"), transport.W, source);
            Assert.Equal(expected.ReadSingles($"linear_ot@{pooling}/{site}/q_0_100/lo"), transport.Support!.Lo);
            Assert.Equal(expected.ReadSingles($"linear_ot@{pooling}/{site}/q_0_100/hi"), transport.Support.Hi);
        }
        Assert.True(pooling == "last" || dead > 0, "the reference data has dead channels under min and max pooling");
    }

    [SharedFact]
    public void Mean_and_its_statistics_and_every_band()
    {
        using var pooled = Golden.Open("pooled");
        using var expected = Golden.Open("fit_atonce");
        foreach (var site in Golden.Sites)
        {
            var source = pooled.ReadMatrix($"{site}/mean/source");
            var target = pooled.ReadMatrix($"{site}/mean/target");
            var sourceMoments = AllMoments(source);
            var targetMoments = AllMoments(target);
            Assert.Equal(expected.ReadSingles($"mean_ot/{site}/mu1"), sourceMoments.Select(m => (float)m.Mean));
            Assert.Equal(expected.ReadSingles($"mean_ot/{site}/mu2"), targetMoments.Select(m => (float)m.Mean));
            Within(Golden.Doubles(expected.ReadSingles($"mean_ot/{site}/std1")), sourceMoments.Select(m => (float)m.Deviation));
            Within(Golden.Doubles(expected.ReadSingles($"mean_ot/{site}/std2")), targetMoments.Select(m => (float)m.Deviation));
            foreach (var band in Golden.Bands)
            {
                var support = Fit.Site(new MeanFit(), site, source, target, Band.Parse(band)).Transport.Transport.Support!;
                Assert.Equal(expected.ReadDoubles($"mean_ot/{site}/{band}/lo").Select(Support.RoundDown), support.Lo);
                Assert.Equal(expected.ReadDoubles($"mean_ot/{site}/{band}/hi").Select(Support.RoundUp), support.Hi);
            }
        }
    }

    [SharedFact]
    public void Gaussian_and_every_band()
    {
        using var pooled = Golden.Open("pooled");
        using var expected = Golden.Open("fit_atonce");
        foreach (var site in Golden.Sites)
        {
            var (source, target) = (pooled.ReadMatrix($"{site}/mean/source"), pooled.ReadMatrix($"{site}/mean/target"));
            double[] Read(string name) => Golden.Doubles(expected.ReadSingles($"gaussian_ot/{site}/{name}"));
            var (mu1, mu2, std1, std2) = (Read("mu1"), Read("mu2"), Read("std1"), Read("std2"));
            var free = Fit.Site(new GaussianFit(), site, source, target).Transport.Transport;
            Assert.Null(free.Support);
            Within([.. std1.Select((a, c) => std2[c] / a)], free.W);
            Assert.All(Enumerable.Range(0, 64), c => Assert.InRange(Math.Abs(free.B[c] - (mu2[c] - (free.W[c] * mu1[c]))), 0, Tolerance * (Math.Abs(mu2[c]) + Math.Abs(free.W[c] * mu1[c]))));
            foreach (var band in Golden.Bands)
            {
                var bounded = Fit.Site(new GaussianFit(), site, source, target, Band.Parse(band)).Transport.Transport;
                Assert.Equal(free.W.AsEnumerable(), bounded.W);
                Assert.Equal(expected.ReadDoubles($"gaussian_ot/{site}/{band}/lo").Select(Support.RoundDown), bounded.Support!.Lo);
                Assert.Equal(expected.ReadDoubles($"gaussian_ot/{site}/{band}/hi").Select(Support.RoundUp), bounded.Support.Hi);
            }
        }
    }

    [SharedFact]
    public void Aura_of_max_pooling_to_the_last_digit()
    {
        using var pooled = Golden.Open("pooled");
        using var expected = Golden.Open("fit_atonce");
        Assert.Equal(Pooling.Max, new AuraFit().DefaultPooling);
        foreach (var site in Golden.Sites)
            AuraIs(site, pooled.ReadMatrix($"{site}/max/source"), pooled.ReadMatrix($"{site}/max/target"), expected, $"aura/{site}");
        using var edge = Golden.Open("edge");
        AuraIs("edge", edge.ReadMatrix("source"), edge.ReadMatrix("target"), edge, "aura/q_all");
    }

    [SharedTheory]
    [InlineData("mean")]
    [InlineData("last")]
    public void Caa_and_iti_m_by_formula(string pooling)
    {
        using var pooled = Golden.Open("pooled");
        using var extra = Golden.Open("extra");
        using var forward = Golden.Open("forward");
        var compared = 0;
        foreach (var vector in extra.Tensors.Where(t => t.Name.EndsWith($"/{pooling}/caa/v", StringComparison.Ordinal)))
        {
            var site = vector.Name[..^$"/{pooling}/caa/v".Length];
            var (source, target) = (pooled.ReadMatrix($"{site}/{pooling}/source"), pooled.ReadMatrix($"{site}/{pooling}/target"));
            var x = forward.ReadSingles($"{site}/x3");
            Transport Of(IFitMethod method) => Fit.Site(method, site, source, target).Transport.Transport;
            var v = extra.ReadDoubles(vector.Name);
            Assert.Equal(v.Select(value => (float)value), Of(new CaaFit()).B);
            var direction = extra.ReadDoubles($"{site}/{pooling}/iti/direction");
            var sigma = extra.ReadDoubles($"{site}/{pooling}/iti/sigma")[0];
            Within([.. direction.Select(value => 3 * sigma * value)], Of(new ItiFit(ItiDirection.MassMean) { Alpha = 3 }).B);
            foreach (var c in new[] { 1, 2 })
                Same(Of(new CaaFit { Coefficient = c }), x, extra.ReadSingles($"{site}/{pooling}/caa/y_c{c}"));
            foreach (var a in new[] { 1, 5 })
                Same(Of(new ItiFit(ItiDirection.MassMean) { Alpha = a }), x, extra.ReadSingles($"{site}/{pooling}/iti/y_a{a}"));
            compared++;
        }
        Assert.Equal(2, compared);

        static void Same(Transport transport, float[] x, float[] expected)
        {
            var y = new float[x.Length];
            transport.Apply(x, y, 1);
            for (var i = 0; i < y.Length; i++)
                Assert.InRange(Math.Abs(y[i] - (double)expected[i]), 0, 2e-7 * (Math.Abs(x[i]) + Math.Abs(transport.B[i % transport.Channels])));
        }
    }

    [SharedFact]
    public void No_key_of_a_fit_at_once_is_left_out()
    {
        using var fits = Golden.Open("fit_atonce");
        using var edge = Golden.Open("edge");
        using var extra = Golden.Open("extra");
        string[] known =
        [
            "linear_ot/(w|b|w64_nonoise|b64_nonoise)", "linear_ot/BAND/(lo|hi)", "linear_ot@(min|max|last)/(w|b|q_0_100/(lo|hi))", "(mean|gaussian)_ot/(mu1|mu2|std1|std2)",
            "(mean|gaussian)_ot/BAND/(lo|hi)", "aura/(auroc|alpha)", "(mean|last)/caa/(v|y_c1|y_c2)", "(mean|last)/iti/(direction|sigma|y_a1|y_a5)",
            "source|target|x", "quantiles(32|64)/BAND/(lo|hi)", "(linear|mean|gaussian)_ot/(q_all|BAND)/(BAND/)?(w|b|mu1|mu2|std1|std2|lo|hi|y)", "aura/q_all/(auroc|alpha|y)",
        ];
        var pattern = $"^({string.Join('|', known.Select(part => part.Replace("BAND", $"({string.Join('|', Golden.Bands.Select(Regex.Escape))})", StringComparison.Ordinal)))})$";
        foreach (var tensor in fits.Tensors.Concat(edge.Tensors).Concat(extra.Tensors))
            Assert.Matches(pattern, Regex.Replace(tensor.Name, @"model\.layers\.\d\.(self_attn\.o_proj|post_attention_layernorm|mlp\.down_proj)/", ""));
    }

    private static void AuraIs(string site, Matrix source, Matrix target, SafetensorsFile expected, string prefix)
    {
        var samples = new SiteSamples(site, source, target);
        var auroc = Enumerable.Range(0, samples.Channels).Select(c => (float)Classification.Auroc(samples.SortedSource(c), samples.SortedTarget(c)));
        Assert.Equal(expected.ReadSingles($"{prefix}/auroc"), auroc);
        var transport = Fit.Site(new AuraFit(), site, source, target).Transport.Transport;
        var alpha = expected.ReadSingles($"{prefix}/alpha");
        Assert.All(Enumerable.Range(0, samples.Channels), c => Assert.Equal(alpha[c], transport.W[c], 6e-8));
        Assert.All(transport.B, b => Assert.Equal(0, b));
    }

    [SharedFact]
    public void Linear_of_every_site_in_every_causal_set()
    {
        using var causal = Golden.Open("fit_causal");
        var sites = causal.Tensors.Where(t => t.Name.EndsWith("/pooled_source", StringComparison.Ordinal)).ToList();
        Assert.True(sites.Count >= 100, $"only {sites.Count} fits found");
        foreach (var tensor in sites)
        {
            var prefix = tensor.Name[..^"/pooled_source".Length];
            var band = prefix.Split('/')[2];
            var source = causal.ReadMatrix(tensor.Name);
            var transport = Fit.Site(new LinearFit(), prefix, source, causal.ReadMatrix($"{prefix}/pooled_target"), Band.Parse(band)).Transport.Transport;
            WithinNoise(causal.ReadSingles($"{prefix}/w"), transport.W, source);
            if (band == "q_all")
                continue;
            Assert.Equal(causal.ReadSingles($"{prefix}/{band}/lo"), transport.Support!.Lo);
            Assert.Equal(causal.ReadSingles($"{prefix}/{band}/hi"), transport.Support.Hi);
        }
    }

    [SharedFact]
    public void Quantiles_of_degenerate_channels_in_both_precisions()
    {
        using var edge = Golden.Open("edge");
        var samples = new SiteSamples("edge", edge.ReadMatrix("source"), edge.ReadMatrix("target"));
        foreach (var band in Golden.Bands)
        {
            var percent = Band.Parse(band);
            var channels = Enumerable.Range(0, samples.Channels);
            Assert.Equal(edge.ReadSingles($"quantiles32/{band}/lo"), channels.Select(c => Quantiles.InFloat32(samples.SortedSource(c), percent.Low)));
            Assert.Equal(edge.ReadSingles($"quantiles32/{band}/hi"), channels.Select(c => Quantiles.InFloat32(samples.SortedSource(c), percent.High)));
            Assert.Equal(edge.ReadDoubles($"quantiles64/{band}/lo"), channels.Select(c => Quantiles.InFloat64(samples.SortedSource(c), percent.Low)));
            Assert.Equal(edge.ReadDoubles($"quantiles64/{band}/hi"), channels.Select(c => Quantiles.InFloat64(samples.SortedSource(c), percent.High)));
        }
    }

    private static void Within(IReadOnlyList<double> expected, IEnumerable<float> actual, Func<int, bool>? where = null)
    {
        var worst = Golden.Worst(expected, actual.ToArray(), where);
        Assert.True(worst <= Tolerance, $"worst relative error {worst:e2}");
    }

    /// <summary>The reference adds noise of deviation 1e-8 to the source before it fits; the smaller the channel's own, the more that moves w.</summary>
    private static void WithinNoise(float[] expected, IReadOnlyList<float> actual, Matrix source)
    {
        var moments = AllMoments(source);
        for (var channel = 0; channel < expected.Length; channel++)
            if (moments[channel].Deviation >= LinearFit.DeadDeviation)
                Assert.InRange(actual[channel] - (double)expected[channel], -Allowed(channel), Allowed(channel));
        double Allowed(int channel) => (Tolerance + (4e-8 / moments[channel].Deviation)) * Math.Abs(expected[channel]);
    }

    private static double Deviation(Matrix values, int channel) => AllMoments(values)[channel].Deviation;

    private static Moments[] AllMoments(Matrix values)
    {
        var column = new float[values.Rows];
        return [.. Enumerable.Range(0, values.Columns).Select(c =>
        {
            values.CopyColumn(c, column);
            return Moments.Of(column);
        })];
    }
}
