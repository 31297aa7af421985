using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// ActAdd (arXiv 2308.10248): <c>y = z + c*v</c>, v the difference of one pair of prompts, target less source.
/// </summary>
/// <remarks>
/// The paper adds the difference of each position at that position, from the prompt's start; here the pooled difference, that of
/// the last token by default, is added at the positions that the map is patched in at.
/// </remarks>
public sealed record ActAddFit : IFitMethod
{
    /// <summary>c: how many times the difference is added.</summary>
    public float Coefficient { get; init; } = 1;

    /// <inheritdoc/>
    public string Name => "actadd";

    /// <inheritdoc/>
    public string Settings => FormattableString.Invariant($"coefficient={Coefficient:R}");

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Last;

    /// <inheritdoc/>
    /// <exception cref="OnnxException">There is more than one prompt on a side.</exception>
    public SiteEstimate Estimate(SiteSamples samples, Band band) => samples is { Source.Rows: 1, Target.Rows: 1 }
        ? ChannelFit.Shift(samples, band, Coefficient, samples.MeanDifference())
        : throw new OnnxException($"ActAdd takes one pair of prompts; site '{samples.Site}' has {samples.Source.Rows} source and "
            + $"{samples.Target.Rows} target samples. Give one prompt on each side, or use caa, which averages over many.");
}
