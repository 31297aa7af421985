namespace OnnxSteer;

/// <summary>
/// CAA (arXiv 2312.06681): <c>y = z + c*v</c>, v the mean of the target less the mean of the source, in float64. The paper takes
/// the last token and one layer's block output.
/// </summary>
public sealed record CaaFit : IFitMethod
{
    /// <summary>c: how many times the difference is added.</summary>
    public float Coefficient { get; init; } = 1;

    /// <inheritdoc/>
    public string Name => "caa";

    /// <inheritdoc/>
    public string Settings => FormattableString.Invariant($"coefficient={Coefficient:R}");

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Last;

    /// <inheritdoc/>
    public SiteEstimate Estimate(SiteSamples samples, Band band) => ChannelFit.Shift(samples, band, Coefficient, samples.MeanDifference());
}
