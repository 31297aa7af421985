namespace OnnxSteer;

/// <summary>
/// AurA (arXiv 2407.12824): each channel is damped by how well it alone tells the source from the target:
/// <c>y = alpha*z</c>, <c>alpha = 1 - 2*(AUROC - 0.5)</c> where the AUROC is above one half, else 1. The source is the positive
/// class. The paper pools by the maximum and has no band.
/// </summary>
/// <remarks>A channel that has one value in all samples of both sides is dead.</remarks>
public sealed record AuraFit : IFitMethod
{
    /// <inheritdoc/>
    public string Name => "aura";

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Max;

    /// <inheritdoc/>
    public SiteEstimate Estimate(SiteSamples samples, Band band)
        => ChannelFit.Run(samples, band, Estimate, ChannelFit.DoubleBounds);

    private static (double W, double B)? Estimate(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
    {
        if (source[0] == source[^1] && target[0] == target[^1] && source[0] == target[0])
            return null;
        var auroc = Classification.Auroc(source, target);
        return (auroc > 0.5 ? 1 - (2 * (auroc - 0.5)) : 1, 0);
    }
}
