using System.Collections.Immutable;
using System.Globalization;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>What steering does to a feature map: against the reference vectors, and on other layouts and types against those.</summary>
public sealed class ImageSteeringTests
{
    // Relative to the terms of the sum, which cancel where the result is near 0.
    private const double Tolerance = 2e-6;

    public static TheoryData<string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var method in new[] { "linear_ot", "mean_ot", "gaussian_ot" })
                foreach (var band in new[] { "q_all", "q_0_100", "q_5_95" })
                    data.Add(method, band);
            data.Add("aura", "q_all");
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void A_steered_feature_map_is_what_the_reference_makes_of_it(string method, string band)
    {
        using var forward = SafetensorsFile.Open(Folders.InShared("golden", "act", "forward.safetensors"));
        using var fit = SafetensorsFile.Open(Folders.InShared("golden", "act", "fit_atonce.safetensors"));
        var compared = 0;
        foreach (var tensor in forward.Tensors.Where(tensor => tensor.Name.EndsWith("/y4", StringComparison.Ordinal)))
        {
            if (tensor.Name.Split('/') is not [var site, var name, var bounds, var at, _] || (name, bounds) != (method, band))
                continue;
            var strength = float.Parse(at[1..], CultureInfo.InvariantCulture);
            var map = Reference(fit, site, method, band);
            var (x, expected) = (forward.ReadSingles($"{site}/x4"), forward.ReadSingles(tensor.Name));
            foreach (var isChannelsLast in new[] { false, true })
            {
                var model = OneFeatureMap.Of(64, isChannelsLast);
                Compare(map, x, expected, OneFeatureMap.Run(Patched(model, map, Mode.Baked, strength), x, [2, 64, 3, 2]), strength, Tolerance, tensor.Name);
                Compare(map, x, expected, OneFeatureMap.Run(Patched(model, map, Mode.Live, 0.3f), x, [2, 64, 3, 2], Exports.Dial(strength)), strength, Tolerance, tensor.Name);
                compared++;
            }
        }
        Assert.True(compared >= 8, $"only {compared} outputs compared");
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("mean")]
    public void Each_row_has_its_own_strength_and_0_changes_no_bit(string method)
    {
        var (map, x, shape) = (Random(method, 12), Noise(3 * 12 * 5 * 4, 1), new long[] { 3, 12, 5, 4 });
        foreach (var isHalf in new[] { false, true })
            foreach (var isChannelsLast in new[] { false, true })
            {
                var model = OneFeatureMap.Of(12, isChannelsLast, isHalf);
                var unsteered = OneFeatureMap.Run(model, x, shape);
                var live = Patched(model, map, Mode.Live, 0);
                Assert.True(Bits.Same(unsteered, OneFeatureMap.Run(live, x, shape)), $"{method}, half {isHalf}, last {isChannelsLast}: strength 0");
                var mixed = OneFeatureMap.Run(live, x, shape, Exports.Dial(0, 0.5f, -1));
                foreach (var (row, strength) in new[] { 0, 0.5f, -1 }.Index())
                    Assert.True(Bits.Same(Row(OneFeatureMap.Run(live, x, shape, Exports.Dial(strength)), row), Row(mixed, row)), $"{method}, half {isHalf}, last {isChannelsLast}: row {row}");
                Assert.False(Bits.Same(Row(unsteered, 1), Row(mixed, 1)));
            }

        ReadOnlySpan<float> Row(float[] values, int row) => values.AsSpan(row * values.Length / 3, values.Length / 3);
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("mean")]
    public void Float16_does_not_overflow_where_the_result_does_not(string method)
    {
        // A channel's sum is 64 times its mean; the change itself is larger than float16 holds.
        var model = OneFeatureMap.Of(2, isHalf: true);
        var x = Enumerable.Range(0, 2 * 64).Select(i => (i < 64 ? 50000f : -50000f) + 64 * (i % 2)).ToArray();
        var transport = Transport.Of("map", [-1, 0.5f], [0, 0], [-60000, -60000], [60000, 60000]);
        var map = new SteeringMap([new SiteTransport(OneFeatureMap.Site, transport)], new Provenance(Method: method));
        var y = OneFeatureMap.Run(Patched(model, map, Mode.Baked, 1), x, [1, 2, 8, 8]);
        for (var i = 0; i < y.Length; i++)
        {
            var expected = method == "linear" ? i < 64 ? x[i] - 2 * 50032 : x[i] + 24984 : i < 64 ? -x[i] : 0.5f * x[i];
            Assert.True(Math.Abs(y[i] - expected) <= 32, $"{i}: {x[i]} became {y[i]}, expected {expected}");
        }
    }

    [Fact]
    public void Positions_of_tokens_do_not_apply_to_feature_maps() =>
        Assert.Contains("feature map", Assert.Throws<OnnxException>(() => Steering.Patch(OneFeatureMap.Of(3), Random("linear", 3), new SteeringOptions { Positions = Positions.Last })).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Channels_lie_where_the_operator_that_made_the_map_has_them()
    {
        var first = SiteTable.Of(OneFeatureMap.Of(7)).Find(OneFeatureMap.Site);
        Assert.Equal((1, 7), (first.ChannelAxis, first.Channels));
        var last = SiteTable.Of(OneFeatureMap.Of(7, isChannelsLast: true)).Find(OneFeatureMap.Site);
        Assert.Equal((-1, 7), (last.ChannelAxis, last.Channels));
        Assert.True(first.SpaceAxes.SequenceEqual([2, 3]));
        Assert.True(last.SpaceAxes.SequenceEqual([1, 2]));
    }

    private static Model Patched(Model model, SteeringMap map, Mode mode, float strength) =>
        model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = mode, Strength = strength, AllowIdentity = true }));

    private static SteeringMap Reference(SafetensorsFile fit, string site, string method, string band)
    {
        var prefix = $"{method}/{site}";
        var (w, b) = method switch
        {
            "linear_ot" => (fit.ReadSingles($"{prefix}/w"), fit.ReadSingles($"{prefix}/b")),
            "aura" => (fit.ReadSingles($"{prefix}/alpha"), new float[64]),
            _ => Moments(fit, prefix, method == "mean_ot"),
        };
        var transport = band == "q_all" ? Transport.Of(site, [.. w], [.. b])
            : Transport.Of(site, [.. w], [.. b], [.. fit.ReadDoubles($"{prefix}/{band}/lo").Select(Support.RoundDown)], [.. fit.ReadDoubles($"{prefix}/{band}/hi").Select(Support.RoundUp)]);
        return new SteeringMap([new SiteTransport(OneFeatureMap.Site, transport)], new Provenance(Method: method.Replace("_ot", "", StringComparison.Ordinal)));
    }

    // Channels that hardly move are left alone, by both methods.
    private static (float[] W, float[] B) Moments(SafetensorsFile fit, string prefix, bool isMean)
    {
        var (mu1, mu2, std1, std2) = (fit.ReadSingles($"{prefix}/mu1"), fit.ReadSingles($"{prefix}/mu2"), fit.ReadSingles($"{prefix}/std1"), fit.ReadSingles($"{prefix}/std2"));
        bool IsDead(int c) => std1[c] <= 1e-4 || std2[c] <= 1e-4;
        var w = mu1.Select((_, c) => isMean || IsDead(c) ? 1 : std2[c] / std1[c]).ToArray();
        return (w, [.. mu1.Select((mu, c) => IsDead(c) ? 0 : (float)(mu2[c] - (double)w[c] * mu))]);
    }

    private static void Compare(SteeringMap map, float[] x, float[] expected, float[] actual, float strength, double tolerance, string what)
    {
        var transport = map.Sites[0].Transport;
        var (space, channels) = (6, transport.Channels);
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < x.Length; i++)
        {
            var channel = i / space % channels;
            var largest = x[(i / space * space)..(i / space * space + space)].Max(Math.Abs);
            var scale = Math.Abs(1 - strength) * largest + Math.Abs(strength * transport.W[channel]) * largest + Math.Abs(strength * transport.B[channel]) + largest;
            var error = Math.Abs(actual[i] - (double)expected[i]);
            Assert.True(error <= tolerance * scale, $"{what}, element {i} of channel {channel}: {actual[i]:R}, expected {expected[i]:R}, {error / scale:e2} of the terms");
        }
    }

    private static SteeringMap Random(string method, int channels)
    {
        var random = new Random(channels);
        ImmutableArray<float> Numbers(float low, float high) => [.. Enumerable.Range(0, channels).Select(_ => low + (high - low) * random.NextSingle())];
        return new SteeringMap([new SiteTransport(OneFeatureMap.Site, Transport.Of("map", Numbers(0.5f, 1.5f), Numbers(-1, 1), Numbers(-1, -0.2f), Numbers(0.1f, 1)))], new Provenance(Method: method));
    }

    private static float[] Noise(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
    }
}
