using System.Collections.Immutable;
using System.Globalization;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tests;

/// <summary>
/// Transports on given activations against the reference vectors. Parameters come from the vectors, so that only the application is
/// measured. Errors are relative to the terms of the sum <c>(1-s)*z + s*(w*z + b)</c>, which cancel where the result is near 0.
/// </summary>
public class ForwardGoldenTests
{
    private const double Tolerance = 2e-6;
    private static readonly string[] Methods = ["linear_ot", "mean_ot", "gaussian_ot", "aura"];

    [SharedFact]
    public void Rows_and_tokens_at_every_band_and_strength()
    {
        using var forward = Golden.Open("forward");
        using var parameters = Golden.Open("fit_atonce");
        var compared = 0;
        var left = 0;
        foreach (var tensor in forward.Tensors.Where(t => t.Name.EndsWith("/y2", StringComparison.Ordinal) || t.Name.EndsWith("/y3", StringComparison.Ordinal) || t.Name.EndsWith("/y3_last", StringComparison.Ordinal)))
        {
            var parts = tensor.Name.Split('/');
            var (site, method, band, strength, x) = (parts[0], parts[1], parts[2], float.Parse(parts[3][1..], CultureInfo.InvariantCulture), "x" + parts[4][1..2]);
            Assert.Contains(method, Methods);
            var bounds = band == "q_all" ? null : new Bounds(parameters.ReadDoubles($"{method}/{site}/{band}/lo"), parameters.ReadDoubles($"{method}/{site}/{band}/hi"));
            var transport = Reference(parameters, $"{method}/{site}", method, bounds);
            var shift = method == "gaussian_ot" ? parameters.ReadSingles($"{method}/{site}/mu2") : null;
            left += Compare(transport, bounds, forward.ReadSingles($"{site}/{x}"), forward.ReadSingles(tensor.Name), strength, parts[4].EndsWith("_last", StringComparison.Ordinal), method == "aura", shift);
            compared++;
        }
        // 2 sites, 10 bands of 4 methods, 4 strengths of y2 and y3, and y3_last at strength 1.
        Assert.Equal(2 * 10 * 9, compared);
        Assert.True(left > 1000, $"only {left} values outside a support seen");
    }

    [SharedTheory]
    [InlineData("linear_ot", "q_all")]
    [InlineData("linear_ot", "q_0_100")]
    [InlineData("linear_ot", "q_5_95")]
    [InlineData("mean_ot", "q_all")]
    [InlineData("mean_ot", "q_0_100")]
    [InlineData("mean_ot", "q_5_95")]
    [InlineData("gaussian_ot", "q_all")]
    [InlineData("gaussian_ot", "q_0_100")]
    [InlineData("gaussian_ot", "q_5_95")]
    [InlineData("aura", "q_all")]
    public void Degenerate_channels_from_fit_to_output(string method, string band)
    {
        using var edge = Golden.Open("edge");
        IFitMethod ours = method switch { "linear_ot" => new LinearFit(), "mean_ot" => new MeanFit(), "gaussian_ot" => new GaussianFit(), _ => new AuraFit() };
        var fit = Fit.Site(ours, "edge", edge.ReadMatrix("source"), edge.ReadMatrix("target"), Band.Parse(band));
        var transport = fit.Transport.Transport;
        // The reference maps constant sources by the noise that it adds to them: 1.7e7 and 0.
        int[] constant = method == "linear_ot" ? [0, 2] : [];
        int[] dead = method switch { "linear_ot" => [0, 2], "aura" => [2], _ => [0, 1, 2, 3, 4] };
        Assert.Equal(dead.Length, fit.Report.Dead);
        Assert.All(dead, channel => Assert.True(transport.IsIdentityAt(channel)));
        var x = edge.ReadSingles("x");
        var expected = edge.ReadSingles($"{method}/{band}/y");
        var y = new float[x.Length];
        transport.Apply(x, y, 1);
        var bounds = band == "q_all" ? null : new Bounds(Bound("lo"), Bound("hi"));
        var means = edge.ReadSingles("mean_ot/q_all/mu1");
        for (var i = 0; i < y.Length; i++)
        {
            var channel = i % 12;
            if (constant.Contains(channel) || (bounds is null && Math.Abs(x[i]) >= 1e6f))
                continue;
            if (bounds?.Holds(channel, x[i]) == false)
                Assert.Equal(x[i], y[i]);
            var scale = Scale(transport, channel, x[i], 1);
            // The reference adds noise of 1e-8 to the source of a linear fit, which moves w of channel 3 (deviation 2e-5) by up to a
            // thousandth, and shifts through both means, of which channel 6 has some of 1e4.
            var allowed = method is "mean_ot" or "gaussian_ot"
                ? Tolerance * (scale + (Math.Max(1, transport.W[channel]) * Math.Abs(means[channel])))
                : (channel == 3 ? 1e-3 : Tolerance) * scale + 4e-8;
            var error = Math.Abs(y[i] - (double)expected[i]);
            Assert.True(error <= allowed, $"error {error:e2} in channel {channel}, allowed {allowed:e2}");
        }
        double[] Bound(string side) => edge.ReadDoubles($"{method}/{band}/{band}/{side}");
    }

    /// <summary>How many values lay outside the support.</summary>
    private static int Compare(Transport transport, Bounds? bounds, float[] x, float[] expected, float strength, bool lastOnly, bool isFree, float[]? shift)
    {
        var y = x.ToArray();
        if (lastOnly)
            for (var row = 0; row < 2; row++)
            {
                var (from, count) = (((row * 6) + 5) * transport.Channels, transport.Channels);
                transport.Apply(x.AsSpan(from, count), y.AsSpan(from, count), strength);
            }
        else
            transport.Apply(x, y, strength);
        var outside = 0;
        for (var i = 0; i < x.Length; i++)
        {
            var channel = i % transport.Channels;
            if (bounds is null && !isFree && Math.Abs(x[i]) >= 1e6f)
            {
                // q_all is an open band there and no band here; of AurA it is none there either.
                Assert.Equal(x[i], expected[i]);
                continue;
            }
            if (bounds?.Holds(channel, x[i]) == false)
            {
                Assert.Equal(BitConverter.SingleToInt32Bits(x[i]), BitConverter.SingleToInt32Bits(y[i]));
                Assert.Equal(x[i], expected[i]);
                outside++;
                continue;
            }
            // The Gaussian map goes through both means, which may cancel.
            var error = Math.Abs(y[i] - (double)expected[i]) / (Scale(transport, channel, x[i], strength) + Math.Abs(strength * (shift?[channel] ?? 0)));
            Assert.True(error <= Tolerance, $"relative error {error:e2} in channel {channel} at strength {strength}");
            Assert.Equal(expected[i] == x[i], y[i] == x[i]);
        }
        return outside;
    }

    private static double Scale(Transport transport, int channel, double z, double strength)
        => Math.Abs((1 - strength) * z) + Math.Abs(strength * transport.W[channel] * z) + Math.Abs(strength * transport.B[channel]) + float.Epsilon;

    private static Transport Reference(SafetensorsFile parameters, string prefix, string method, Bounds? bounds)
    {
        ImmutableArray<float> w;
        ImmutableArray<float> b;
        if (method == "linear_ot")
        {
            w = [.. parameters.ReadSingles($"{prefix}/w")];
            b = [.. parameters.ReadSingles($"{prefix}/b")];
        }
        else if (method == "aura")
        {
            w = [.. parameters.ReadSingles($"{prefix}/alpha")];
            b = [.. new float[w.Length]];
        }
        else
        {
            var (mu1, mu2) = (parameters.ReadSingles($"{prefix}/mu1"), parameters.ReadSingles($"{prefix}/mu2"));
            var (std1, std2) = (parameters.ReadSingles($"{prefix}/std1"), parameters.ReadSingles($"{prefix}/std2"));
            bool IsDead(int c) => std1[c] <= 1e-4 || std2[c] <= 1e-4;
            double Factor(int c) => method == "gaussian_ot" ? (double)std2[c] / std1[c] : 1;
            w = [.. mu1.Select((_, c) => IsDead(c) ? 1 : (float)Factor(c))];
            b = [.. mu1.Select((_, c) => IsDead(c) ? 0 : (float)(mu2[c] - (Factor(c) * mu1[c])))];
        }
        return bounds is null
            ? Transport.Of(prefix, w, b)
            : Transport.Of(prefix, w, b, [.. bounds.Lo.Select(Support.RoundDown)], [.. bounds.Hi.Select(Support.RoundUp)]);
    }

    /// <summary>Bounds as the reference has and compares them: those of means in float64.</summary>
    private sealed record Bounds(double[] Lo, double[] Hi)
    {
        public bool Holds(int channel, double z) => Lo[channel] < z && z < Hi[channel];
    }
}
