namespace OnnxSteer;

/// <summary>How one site's fit went, measured on the data it was fitted on, at strength 1.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Samples">How many samples there were.</param>
/// <param name="Channels">How many channels.</param>
/// <param name="Dead">Channels left alone because their samples do not vary enough.</param>
/// <param name="Changed">Channels in which the transport is not the identity.</param>
/// <param name="DistanceBefore">
/// The mean over all channels of the 1-D Wasserstein distance of order 1 between source and target, each in units of the
/// standard deviation of both together (equal weight a side), 0 where that is 0. Never above 2.
/// </param>
/// <param name="DistanceAfter">The same with the mapped source, in the units of before. Above before where the map harms.</param>
/// <param name="Outside">
/// The share of pooled source values, over the channels that are not dead, that lie outside the support and are therefore left
/// alone. Of single tokens many more do.
/// </param>
public sealed record SiteReport(
    string Site, SampleCounts Samples, int Channels, int Dead, int Changed, double DistanceBefore, double DistanceAfter,
    double Outside)
{
    /// <summary>The share of the source's single tokens, over the channels that are steered, outside the support; null where tokens were not counted.</summary>
    public double? TokensOutside { get; init; }

    /// <summary>
    /// The median over channels of the natural logarithm of the target's standard deviation over the source's: 0 at equal spread,
    /// where a shift is all that is needed. Null where no channel varies on both sides.
    /// </summary>
    public double? SpreadRatio { get; init; }

    /// <summary>
    /// The median over channels of Cohen's d, without sign: the distance of the means in standard deviations within the sides.
    /// Null where no channel varies.
    /// </summary>
    public double? EffectSize { get; init; }

    /// <summary>The largest Cohen's d of a channel, without sign.</summary>
    public double? LargestEffect { get; init; }

    /// <summary>How the fit does on samples it did not see; null with fewer than five samples on a side.</summary>
    public HeldOutCheck? HeldOut { get; init; }

    /// <summary>How well source and target are told apart; null with fewer than five samples on a side.</summary>
    public Separability? Separability { get; init; }

    /// <summary>The held-out accuracy of a logistic probe, which methods that choose sites rank them by; null elsewhere.</summary>
    public double? ProbeAccuracy { get; init; }

    /// <summary>Whether the map holds the site; false where the method chose others.</summary>
    public bool InMap { get; init; } = true;

    /// <summary>The report with the share of single tokens outside the support, over the channels that a transport changes.</summary>
    internal SiteReport With(Transport transport, IReadOnlyList<double> outside)
    {
        var changed = outside.Where((_, channel) => !transport.IsIdentityAt(channel)).ToList();
        return this with { TokensOutside = changed.Count > 0 ? changed.Average() : null };
    }

    /// <summary>Measures one site's fit.</summary>
    /// <param name="method">The method, which is fitted again on four fifths of the samples.</param>
    /// <param name="band">The band that it was fitted with.</param>
    /// <param name="samples">All samples.</param>
    /// <param name="estimate">What was fitted on them.</param>
    public static SiteReport Of(IFitMethod method, Band band, SiteSamples samples, SiteEstimate estimate)
    {
        var channels = ChannelStatistics.Of(samples);
        var folds = new Folds(samples);
        var isEnough = folds.Count >= HeldOutCheck.LeastSamples;
        return new SiteReport(
            samples.Site, new SampleCounts(samples.Source.Rows, samples.Target.Rows), samples.Channels, estimate.Dead.Length,
            Enumerable.Range(0, samples.Channels).Count(c => !estimate.Transport.IsIdentityAt(c)),
            channels.Mean(channels.Distances(samples)), channels.Mean(channels.Distances(samples, estimate.Transport)),
            OutsideShare(samples, estimate))
        {
            SpreadRatio = channels.SpreadRatio(),
            EffectSize = channels.Effects() is { Length: > 0 } effects ? ChannelStatistics.Median(effects) : null,
            LargestEffect = channels.Effects() is { Length: > 0 } sizes ? sizes.Max() : null,
            HeldOut = isEnough ? HeldOutCheck.Of(method, band, samples, folds, channels) : null,
            Separability = isEnough ? Separability.Of(samples, folds) : null,
            ProbeAccuracy = (method as IRankingMethod)?.Score(samples),
        };
    }

    private static double OutsideShare(SiteSamples samples, SiteEstimate estimate)
    {
        if (estimate.Transport.Support is not { } support || estimate.Dead.Length == samples.Channels)
            return 0;
        var dead = estimate.Dead.ToHashSet();
        var outside = 0L;
        for (var channel = 0; channel < samples.Channels; channel++)
            if (!dead.Contains(channel))
                foreach (var value in samples.SortedSource(channel))
                    if (!(support.Lo[channel] < value && value < support.Hi[channel]))
                        outside++;
        return (double)outside / ((long)(samples.Channels - dead.Count) * samples.Source.Rows);
    }
}
