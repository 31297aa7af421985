namespace OnnxSteer;

/// <summary>
/// Mean-AcT (arXiv 2410.23054): per channel the shift from the source's mean to the target's, <c>w = 1</c>,
/// <c>b = mean(b) - mean(a)</c>, in float64.
/// </summary>
/// <remarks>
/// As in the reference implementation, channels are left alone where either side's deviation is at most
/// <see cref="DeadDeviation"/>; a single sample has none, so that two samples a side are the least. Bounds are quantiles in
/// float64, rounded outward.
/// </remarks>
public sealed record MeanFit : IFitMethod
{
    /// <summary>The deviation of either side up to which a channel is dead.</summary>
    public const double DeadDeviation = 1e-4;

    /// <inheritdoc/>
    public string Name => "mean";

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
        return a.Deviation <= DeadDeviation || b.Deviation <= DeadDeviation ? null : (1, b.Mean - a.Mean);
    }
}
