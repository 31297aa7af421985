using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>Makes an estimate channel by channel.</summary>
internal static class ChannelFit
{
    public delegate (double W, double B)? Estimator(ReadOnlySpan<float> sortedSource, ReadOnlySpan<float> sortedTarget);

    public delegate (float Lo, float Hi) Bounds(ReadOnlySpan<float> sortedSource, Band band);

    /// <summary>Fits every channel on its own; where the estimator gives none, the channel is dead.</summary>
    public static SiteEstimate Run(SiteSamples samples, Band band, Estimator estimate, Bounds bounds)
        => Run(samples, band, channel => estimate(samples.SortedSource(channel), samples.SortedTarget(channel)), bounds);

    /// <summary>A shift of every channel by <c>scale*vector</c>; without a vector the whole site is dead.</summary>
    public static SiteEstimate Shift(SiteSamples samples, Band band, double scale, double[]? vector)
        => Run(samples, band, channel => vector is null ? null : (1, scale * vector[channel]), DoubleBounds);

    /// <summary>Factor and shift of every channel by its number.</summary>
    public static SiteEstimate Run(SiteSamples samples, Band band, Func<int, (double W, double B)?> estimate, Bounds bounds)
    {
        var w = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var b = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var lo = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var hi = ImmutableArray.CreateBuilder<float>(samples.Channels);
        var dead = ImmutableArray.CreateBuilder<int>();
        for (var channel = 0; channel < samples.Channels; channel++)
        {
            var fitted = estimate(channel);
            if (fitted is null)
                dead.Add(channel);
            w.Add((float)(fitted?.W ?? 1));
            b.Add((float)(fitted?.B ?? 0));
            if (band.IsUnbounded)
                continue;
            var (lower, upper) = bounds(samples.SortedSource(channel), band);
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
