using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>What one site is fitted on: pooled activations of source and target, checked, and each channel sorted once.</summary>
public sealed class SiteSamples
{
    private readonly float[] sortedSource;
    private readonly float[] sortedTarget;

    /// <summary>Checks and sorts a site's samples.</summary>
    /// <param name="site">The site's name.</param>
    /// <param name="source">Where activations come from, <c>[samples, channels]</c>.</param>
    /// <param name="target">Where they shall go, <c>[samples, channels]</c>; another number of samples is fine.</param>
    /// <exception cref="OnnxException">No samples, no channels, different channels, or a value that is not finite.</exception>
    public SiteSamples(string site, Matrix source, Matrix target)
    {
        Site = site;
        Source = source;
        Target = target;
        if (source.Columns != target.Columns || source.Columns == 0)
            throw new OnnxException($"Site '{site}' has {source.Columns} channels in the source and {target.Columns} "
                + "in the target; "
                + "expected as many, and at least one. Capture both from the same model.");
        sortedSource = SortColumns(source, "source");
        sortedTarget = SortColumns(target, "target");
    }

    /// <summary>The site's name.</summary>
    public string Site { get; }

    /// <summary>The source's samples in their order, <c>[samples, channels]</c>.</summary>
    public Matrix Source { get; }

    /// <summary>The target's samples in their order, <c>[samples, channels]</c>.</summary>
    public Matrix Target { get; }

    /// <summary>The number of channels.</summary>
    public int Channels => Source.Columns;

    /// <summary>One channel of the source, ascending.</summary>
    public ReadOnlySpan<float> SortedSource(int channel) => sortedSource.AsSpan(channel * Source.Rows, Source.Rows);

    /// <summary>One channel of the target, ascending.</summary>
    public ReadOnlySpan<float> SortedTarget(int channel) => sortedTarget.AsSpan(channel * Target.Rows, Target.Rows);

    /// <summary>The mean of the target less the mean of the source, <c>[channels]</c>, in float64.</summary>
    public double[] MeanDifference() =>
        [.. Enumerable.Range(0, Channels).Select(channel => Moments.Of(SortedTarget(channel)).Mean - Moments.Of(SortedSource(channel)).Mean)];

    /// <summary>The same site with some of the rows only.</summary>
    public SiteSamples Take(ReadOnlySpan<int> sourceRows, ReadOnlySpan<int> targetRows) => new(Site, Source.Take(sourceRows), Target.Take(targetRows));

    private float[] SortColumns(Matrix values, string side)
    {
        if (values.Rows == 0)
            throw new OnnxException($"Site '{Site}' has no samples in the {side}; at least two are needed for a fit.");
        var sorted = new float[values.Values.Length];
        for (var channel = 0; channel < values.Columns; channel++)
        {
            var column = sorted.AsSpan(channel * values.Rows, values.Rows);
            values.CopyColumn(channel, column);
            for (var sample = 0; sample < column.Length; sample++)
                if (!float.IsFinite(column[sample]))
                    throw new OnnxException($"The {side} activation of site '{Site}' in sample {sample}, channel {channel} is "
                        + $"{column[sample]}; expected "
                        + "a finite number. Leave the prompt out, or capture in a wider precision.");
            column.Sort();
        }
        return sorted;
    }
}
