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
/// The share of source values, over the channels that are not dead, that lie outside the support and are therefore left alone.
/// </param>
public sealed record SiteReport(
    string Site, SampleCounts Samples, int Channels, int Dead, int Changed, double DistanceBefore, double DistanceAfter,
    double Outside)
{
    internal static SiteReport Of(SiteSamples samples, SiteEstimate estimate)
    {
        var transport = estimate.Transport;
        var mapped = new float[samples.Source.Values.Length];
        transport.Apply(samples.Source.Values, mapped, 1);
        var (before, after) = Distances(samples, mapped);
        return new SiteReport(
            samples.Site, new SampleCounts(samples.Source.Rows, samples.Target.Rows), samples.Channels, estimate.Dead.Length,
            Enumerable.Range(0, samples.Channels).Count(c => !transport.IsIdentityAt(c)), before, after,
            OutsideShare(samples, estimate));
    }

    private static (double Before, double After) Distances(SiteSamples samples, float[] mapped)
    {
        var column = new float[samples.Source.Rows];
        var before = 0.0;
        var after = 0.0;
        for (var channel = 0; channel < samples.Channels; channel++)
        {
            var unit = Spread(samples.SortedSource(channel), samples.SortedTarget(channel));
            if (unit == 0)
                continue;
            for (var row = 0; row < column.Length; row++)
                column[row] = mapped[(row * samples.Channels) + channel];
            column.AsSpan().Sort();
            before += Coupling.Distance(samples.SortedSource(channel), samples.SortedTarget(channel)) / unit;
            after += Coupling.Distance(column, samples.SortedTarget(channel)) / unit;
        }
        return (before / samples.Channels, after / samples.Channels);
    }

    /// <summary>The deviation of the mixture of both sides: the mean of the variances, and the square of half the means'
    /// distance.</summary>
    private static double Spread(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
    {
        var a = Moments.Of(source);
        var b = Moments.Of(target);
        var between = (a.Mean - b.Mean) / 2;
        return Math.Sqrt((Population(a, source.Length) + Population(b, target.Length)) / 2 + (between * between));
    }

    private static double Population(Moments moments, int samples)
        => moments.Deviation * moments.Deviation * (samples - 1) / samples;

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
