namespace OnnxSteer;

/// <summary>Moments of each channel of a site, and distances in units of them.</summary>
internal sealed class ChannelStatistics
{
    private readonly Moments[] source;
    private readonly Moments[] target;
    private readonly double[] units;

    private ChannelStatistics(Moments[] source, Moments[] target, double[] units) => (this.source, this.target, this.units) = (source, target, units);

    public static ChannelStatistics Of(SiteSamples samples)
    {
        Moments[] source = [.. Enumerable.Range(0, samples.Channels).Select(channel => Moments.Of(samples.SortedSource(channel)))];
        Moments[] target = [.. Enumerable.Range(0, samples.Channels).Select(channel => Moments.Of(samples.SortedTarget(channel)))];
        return new ChannelStatistics(source, target, [.. source.Zip(target, (a, b) => Spread(a, samples.Source.Rows, b, samples.Target.Rows))]);
    }

    /// <summary>Each channel's Wasserstein distance of order 1 from the source, mapped or as it is, to the target, in units of
    /// the spread of these statistics' samples; 0 where that is 0.</summary>
    public double[] Distances(SiteSamples samples, Transport? transport = null)
    {
        var column = new float[samples.Source.Rows];
        var distances = new double[units.Length];
        for (var channel = 0; channel < units.Length; channel++)
        {
            if (units[channel] == 0)
                continue;
            var from = samples.SortedSource(channel);
            if (transport?.IsIdentityAt(channel) == false)
            {
                transport.ApplyChannel(channel, from, column);
                // Most maps keep the order, but for where bounds part them.
                if (!IsAscending(column))
                    column.AsSpan().Sort();
                from = column;
            }
            distances[channel] = Coupling.Distance(from, samples.SortedTarget(channel)) / units[channel];
        }
        return distances;
    }

    /// <summary>The mean over all channels.</summary>
    public double Mean(double[] distances) => distances.Sum() / units.Length;

    /// <summary>Which channels vary at all.</summary>
    public IEnumerable<int> Live => Enumerable.Range(0, units.Length).Where(channel => units[channel] > 0);

    public double? SpreadRatio()
    {
        double[] ratios = [.. source.Zip(target).Where(pair => pair.First.Deviation > 0 && pair.Second.Deviation > 0).Select(pair => Math.Log(pair.Second.Deviation / pair.First.Deviation))];
        return ratios.Length == 0 ? null : Median(ratios);
    }

    /// <summary>Cohen's d without sign of each channel that varies within the sides.</summary>
    public double[] Effects() =>
        [.. source.Zip(target).Select(pair => (Difference: pair.Second.Mean - pair.First.Mean, Within: Math.Sqrt(((pair.First.Deviation * pair.First.Deviation) + (pair.Second.Deviation * pair.Second.Deviation)) / 2)))
            .Where(channel => channel.Within > 0).Select(channel => Math.Abs(channel.Difference) / channel.Within)];

    public static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    private static bool IsAscending(ReadOnlySpan<float> values)
    {
        for (var i = 1; i < values.Length; i++)
            if (values[i] < values[i - 1])
                return false;
        return true;
    }

    /// <summary>The deviation of the mixture of both sides: the mean of the variances, and the square of half the means'
    /// distance.</summary>
    private static double Spread(Moments a, int sources, Moments b, int targets)
    {
        var between = (a.Mean - b.Mean) / 2;
        return Math.Sqrt(((Population(a, sources) + Population(b, targets)) / 2) + (between * between));
    }

    private static double Population(Moments moments, int samples)
        => moments.Deviation * moments.Deviation * (samples - 1) / samples;
}
