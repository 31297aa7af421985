namespace OnnxSteer;

/// <summary>
/// A fit on four fifths of a site's samples, by a fixed random split, measured on the other fifth. Distances are those of
/// <see cref="SiteReport"/>, in the same units; few samples lie apart by chance, so that after never comes to 0.
/// </summary>
/// <param name="Samples">How many samples were held out.</param>
/// <param name="DistanceBefore">The distance between held-out source and target.</param>
/// <param name="DistanceAfter">The same with the source mapped. Above before where the map harms.</param>
/// <param name="DistanceAfterLinear">The same by a linear map without a band, whatever the method: the method may not be after
/// the target's distribution at all.</param>
/// <param name="LinearBeatsMean">
/// The share of channels in which a linear map brings held-out samples nearer to the target than a shift by the means does, both
/// fitted without a band; channels where they come out alike count one half. Well above one half where spreads differ.
/// </param>
public sealed record HeldOutCheck(SampleCounts Samples, double DistanceBefore, double DistanceAfter, double DistanceAfterLinear, double LinearBeatsMean)
{
    internal const int LeastSamples = 5;

    internal static HeldOutCheck Of(IFitMethod method, Band band, SiteSamples samples, Folds folds, ChannelStatistics channels)
    {
        var (seenSource, seenTarget) = folds.Rows(0, inside: false);
        var (source, target) = folds.Rows(0, inside: true);
        var (seen, unseen) = (samples.Take(seenSource, seenTarget), samples.Take(source, target));
        double[] After(IFitMethod fitted, Band within) => channels.Distances(unseen, fitted.Estimate(seen, within).Transport);
        var (linear, mean) = (After(new LinearFit(), Band.QAll), After(new MeanFit(), Band.QAll));
        double[] wins = [.. channels.Live.Select(channel => linear[channel] < mean[channel] ? 1 : linear[channel] == mean[channel] ? 0.5 : 0)];
        return new HeldOutCheck(new SampleCounts(source.Length, target.Length), channels.Mean(channels.Distances(unseen)), channels.Mean(After(method, band)), channels.Mean(linear),
            wins.Length == 0 ? 0.5 : wins.Average());
    }
}
