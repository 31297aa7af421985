using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Det-zero, the baseline of AurA (arXiv 2407.12824, after 2110.02802): the channels that best tell the source from the
/// target, by average precision with the source as the positive class, are set to the mean of the target (<c>w = 0</c>); the
/// others are the identity. Units are chosen site by site.
/// </summary>
public sealed record DetZeroFit : IFitMethod
{
    private const int UsualPart = 20;

    /// <summary>How many channels of a site are set; null for a twentieth of them, rounded up.</summary>
    public int? Units { get; init; }

    /// <inheritdoc/>
    public string Name => "det-zero";

    /// <inheritdoc/>
    public string Settings => $"units={(Units is { } units ? $"{units}" : "5%")}";

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Mean;

    /// <inheritdoc/>
    /// <exception cref="OnnxException">The site has fewer channels than units asked for.</exception>
    public SiteEstimate Estimate(SiteSamples samples, Band band)
    {
        if (Units is { } asked && (asked < 1 || asked > samples.Channels))
            throw new OnnxException($"Det-zero shall set {asked} units of site '{samples.Site}', which has {samples.Channels} channels; expected 1 to {samples.Channels}.");
        var units = Units ?? (samples.Channels + UsualPart - 1) / UsualPart;
        // The sort is stable, so that of equals the first are taken.
        var chosen = Enumerable.Range(0, samples.Channels)
            .OrderByDescending(channel => Classification.AveragePrecision(samples.SortedSource(channel), samples.SortedTarget(channel)))
            .Take(units).ToHashSet();
        return ChannelFit.Run(samples, band, channel => chosen.Contains(channel) ? (0, Moments.Of(samples.SortedTarget(channel)).Mean) : (1, 0), ChannelFit.DoubleBounds);
    }
}
