namespace OnnxSteer;

/// <summary>
/// The transport between two Gaussians, per channel: <c>y = (sb/sa)*(z - ma) + mb</c> with means and unbiased standard
/// deviations in float64. Bounds are quantiles in float64.
/// </summary>
/// <remarks>Channels with a deviation up to <see cref="MeanFit.DeadDeviation"/> on either side are left alone, as there.</remarks>
public sealed record GaussianFit : IFitMethod
{
    /// <inheritdoc/>
    public string Name => "gaussian";

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Mean;

    /// <inheritdoc/>
    public SiteEstimate Estimate(SiteSamples samples, Band band)
        => ChannelFit.Run(samples, band, Estimate, ChannelFit.DoubleBounds);

    private static (double W, double B)? Estimate(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
    {
        var a = Moments.Of(source);
        var b = Moments.Of(target);
        if (a.Deviation <= MeanFit.DeadDeviation || b.Deviation <= MeanFit.DeadDeviation)
            return null;
        var w = b.Deviation / a.Deviation;
        return (w, b.Mean - (w * a.Mean));
    }
}
