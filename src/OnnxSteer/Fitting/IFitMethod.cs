using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>A way to fit one site's transport from pooled activations.</summary>
public interface IFitMethod
{
    /// <summary>The name on the command line and in map files.</summary>
    string Name { get; }

    /// <summary>The band that the method's paper or reference implementation uses.</summary>
    Band DefaultBand { get; }

    /// <summary>Fits one site. Equal samples give equal bits.</summary>
    SiteEstimate Estimate(SiteSamples samples, Band band);
}

/// <summary>A fitted transport and the channels that could not be fitted.</summary>
/// <param name="Transport">The transport; dead channels are the identity in it.</param>
/// <param name="Dead">The channels whose samples do not vary enough for the method, ascending.</param>
public sealed record SiteEstimate(Transport Transport, ImmutableArray<int> Dead);

/// <summary>Fits each channel on its own, for the methods that can.</summary>
internal static class ChannelFit
{
    public delegate (double W, double B)? Estimator(ReadOnlySpan<float> sortedSource, ReadOnlySpan<float> sortedTarget);

    public delegate (float Lo, float Hi) Bounds(ReadOnlySpan<float> sortedSource, Band band);

    /// <summary>Fits every channel; where the estimator gives none, the channel is dead.</summary>
    public static SiteEstimate Run(SiteSamples samples, Band band, Estimator estimate, Bounds bounds)
    {
        var w = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var b = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var lo = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var hi = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var dead = ImmutableArray.CreateBuilder<int>();
        for (var channel = 0; channel < samples.Channels; channel++)
        {
            var source = samples.SortedSource(channel);
            var fitted = estimate(source, samples.SortedTarget(channel));
            if (fitted is null)
                dead.Add(channel);
            w.Add((float)(fitted?.W ?? 1));
            b.Add((float)(fitted?.B ?? 0));
            if (band.IsUnbounded)
                continue;
            var (lower, upper) = bounds(source, band);
            lo.Add(lower);
            hi.Add(upper);
        }
        var transport = band.IsUnbounded
            ? Transport.Of(samples.Site, w.ToImmutable(), b.ToImmutable())
            : Transport.Of(samples.Site, w.ToImmutable(), b.ToImmutable(), lo.ToImmutable(), hi.ToImmutable());
        return new SiteEstimate(transport, dead.ToImmutable());
    }

    /// <summary>Quantiles in float32.</summary>
    public static (float Lo, float Hi) SingleBounds(ReadOnlySpan<float> sortedSource, Band band)
        => (Quantiles.InFloat32(sortedSource, band.Low), Quantiles.InFloat32(sortedSource, band.High));

    /// <summary>Quantiles in float64, rounded outward, which no comparison with a single can tell apart.</summary>
    public static (float Lo, float Hi) DoubleBounds(ReadOnlySpan<float> sortedSource, Band band)
        => (Support.RoundDown(Quantiles.InFloat64(sortedSource, band.Low)),
            Support.RoundUp(Quantiles.InFloat64(sortedSource, band.High)));
}
