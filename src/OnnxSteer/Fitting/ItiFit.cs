using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Which direction an inference-time intervention takes.</summary>
public enum ItiDirection
{
    /// <summary>ITI-m: the mean of the target less the mean of the source.</summary>
    MassMean,

    /// <summary>ITI-c: the weights of a logistic probe.</summary>
    Probe,
}

/// <summary>
/// ITI (arXiv 2306.03341): <c>y = z + alpha*sigma*theta</c> at the attention heads whose probes tell source from target best on
/// held-out samples. Theta is the direction, of length 1, towards the target; sigma the population standard deviation of all
/// samples' projections on it. Meant for head sites (<c>model.layers.N.self_attn.heads.H</c>), last token; any other site works
/// in the same way.
/// </summary>
public sealed record ItiFit(ItiDirection Direction) : IRankingMethod
{
    /// <summary>How far to go, in standard deviations; the paper's choice for LLaMA-7B.</summary>
    public float Alpha { get; init; } = 15;

    /// <summary>How many sites, heads that is, are steered at most; the paper's choice for LLaMA-7B.</summary>
    public int Heads { get; init; } = 48;

    /// <inheritdoc/>
    public string Name => Direction == ItiDirection.Probe ? "itic" : "itim";

    /// <inheritdoc/>
    public string Settings => FormattableString.Invariant($"alpha={Alpha:R} heads={Heads}");

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Last;

    /// <inheritdoc/>
    public int MostSites => Heads;

    /// <summary>Fits one site; where source and target have no direction between them, it is the identity.</summary>
    public SiteEstimate Estimate(SiteSamples samples, Band band)
    {
        var vector = Direction == ItiDirection.Probe ? LogisticProbe.Fit(samples) : samples.MeanDifference();
        var length = Math.Sqrt(vector.Sum(v => v * v));
        if (length == 0)
            return ChannelFit.Shift(samples, band, 0, null);
        var unit = Array.ConvertAll(vector, v => v / length);
        return ChannelFit.Shift(samples, band, Alpha * Sigma(samples, unit), unit);
    }

    /// <summary>The held-out accuracy of a logistic probe; see <see cref="LogisticProbe.HeldOutAccuracy"/>.</summary>
    /// <exception cref="OnnxException">A side has fewer than two samples.</exception>
    public double Score(SiteSamples samples) => samples.Source.Rows >= 2 && samples.Target.Rows >= 2
        ? LogisticProbe.HeldOutAccuracy(samples)
        : throw new OnnxException($"ITI ranks sites by probes on held-out samples, which takes at least two of each side; site "
            + $"'{samples.Site}' has {samples.Source.Rows} source and {samples.Target.Rows} target samples.");

    private static double Sigma(SiteSamples samples, double[] unit)
    {
        double[] projections = [.. samples.Source.Project(unit), .. samples.Target.Project(unit)];
        var mean = projections.Average();
        return Math.Sqrt(projections.Sum(p => (p - mean) * (p - mean)) / projections.Length);
    }
}
