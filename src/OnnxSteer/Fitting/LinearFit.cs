namespace OnnxSteer;

/// <summary>
/// Linear-AcT (arXiv 2410.23054): per channel the line that carries the sorted source to the sorted target, by least squares
/// along the optimal transport plan: <c>w = cov(a, b) / var(a)</c>, <c>b = mean(b) - w*mean(a)</c>, in float64.
/// </summary>
/// <remarks>
/// With different numbers of samples the plan couples the two quantile functions, which is the exact 1-D transport between
/// them. Bounds are quantiles in float32. A channel is dead where the source is constant but for rounding: a deviation below
/// <see cref="DeadDeviation"/>, or below the same part of its mean; there w would be noise divided by noise.
/// </remarks>
public sealed record LinearFit : IFitMethod
{
    /// <summary>The source's deviation below which a channel is dead.</summary>
    public const double DeadDeviation = 1e-6;

    /// <inheritdoc/>
    public string Name => "linear";

    /// <inheritdoc/>
    public Band DefaultBand => Band.Q0To100;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Mean;

    /// <inheritdoc/>
    public SiteEstimate Estimate(SiteSamples samples, Band band)
        => ChannelFit.Run(samples, band, Estimate, ChannelFit.SingleBounds);

    private static (double W, double B)? Estimate(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
    {
        var a = Moments.Of(source);
        var b = Moments.Of(target);
        if (a.Deviation < DeadDeviation * Math.Max(1, Math.Abs(a.Mean)))
            return null;
        var covariance = 0.0;
        var variance = 0.0;
        var plan = new Coupling(source, target);
        while (plan.MoveNext())
        {
            var deviation = plan.Source - a.Mean;
            covariance += plan.Mass * deviation * (plan.Target - b.Mean);
            variance += plan.Mass * deviation * deviation;
        }
        var w = covariance / variance;
        return (w, b.Mean - (w * a.Mean));
    }
}
