using System.Numerics.Tensors;
using MathNet.Numerics.LinearAlgebra.Double;

namespace OnnxSteer;

/// <summary>
/// The principal direction, as repeng has it: <c>y = z + c*v</c>, v the first right singular vector, of length 1, of the centred
/// differences between the rows of target and source, signed so that most target rows project higher than their source row.
/// </summary>
/// <remarks>
/// With other numbers of rows on both sides there are no pairs, which repeng refuses. Then v is the first principal direction of
/// all rows, either side weighing the same, signed so that the target projects higher in most of all pairs. One pair, or
/// differences that are all the same, have no direction: the site is the identity.
/// </remarks>
public sealed record PcaFit : IFitMethod
{
    // Differences below what float32 rounds off are no direction.
    private const double Rounding = 1.2e-7;

    /// <summary>c: how many times the direction, of length 1, is added.</summary>
    public float Coefficient { get; init; } = 1;

    /// <inheritdoc/>
    public string Name => "pca";

    /// <inheritdoc/>
    public string Settings => FormattableString.Invariant($"coefficient={Coefficient:R}");

    /// <inheritdoc/>
    public Band DefaultBand => Band.QAll;

    /// <inheritdoc/>
    public Pooling DefaultPooling => Pooling.Mean;

    /// <inheritdoc/>
    public SiteEstimate Estimate(SiteSamples samples, Band band)
    {
        double[][] source = [.. samples.Source.ToDoubles()], target = [.. samples.Target.ToDoubles()];
        var isPaired = source.Length == target.Length;
        var rows = isPaired ? Centred([.. target.Zip(source, Less)]) : [.. Around(source), .. Around(target)];
        var scale = samples.Source.Values.ToArray().Concat(samples.Target.Values.ToArray()).Max(Math.Abs);
        if (First(rows, Rounding * scale * Math.Sqrt(rows.Length)) is not { } direction)
            return ChannelFit.Shift(samples, band, 0, null);
        return ChannelFit.Shift(samples, band, Coefficient * Sign(samples, direction, isPaired), direction);

        double[][] Around(double[][] side)
        {
            double[] middle = [.. Mean(source).Zip(Mean(target), (a, b) => (a + b) / 2)];
            return Array.ConvertAll(side, row => Array.ConvertAll(Less(row, middle), value => value / Math.Sqrt(side.Length)));
        }
    }

    private static double Sign(SiteSamples samples, double[] direction, bool isPaired)
    {
        var (source, target) = (samples.Source.Project(direction), samples.Target.Project(direction));
        var votes = 0.0;
        if (isPaired)
            votes = target.Zip(source, (b, a) => Math.Sign(b - a)).Sum();
        else
        {
            Array.Sort(source);
            Array.Sort(target);
            votes = Classification.Auroc<double>(target, source) - 0.5;
        }
        if (votes == 0)
            votes = target.Average() - source.Average();
        return votes < 0 ? -1 : 1;
    }

    /// <summary>The first right singular vector, through the products of the rows, or of the columns where they are fewer.</summary>
    private static double[]? First(double[][] rows, double rounding)
    {
        var channels = rows[0].Length;
        var vectors = rows.Length <= channels ? rows : [.. Enumerable.Range(0, channels).Select(i => Array.ConvertAll(rows, row => row[i]))];
        var products = DenseMatrix.Create(vectors.Length, vectors.Length, 0);
        for (var i = 0; i < vectors.Length; i++)
            for (var j = 0; j <= i; j++)
                products[i, j] = products[j, i] = TensorPrimitives.Dot<double>(vectors[i], vectors[j]);
        var decomposition = products.Evd(MathNet.Numerics.LinearAlgebra.Symmetricity.Symmetric);
        var largest = Enumerable.Range(0, vectors.Length).MaxBy(i => decomposition.EigenValues[i].Real);
        if (!(decomposition.EigenValues[largest].Real > rounding * rounding))
            return null;
        var found = decomposition.EigenVectors.Column(largest).ToArray();
        if (rows.Length <= channels)
        {
            var sum = new double[channels];
            for (var i = 0; i < rows.Length; i++)
                TensorPrimitives.MultiplyAdd(rows[i], found[i], sum, sum);
            found = sum;
        }
        var length = TensorPrimitives.Norm<double>(found);
        // Of the two signs, that with the largest component above 0, so that all machines agree before the rows vote.
        if (TensorPrimitives.MaxMagnitude<double>(found) < 0)
            length = -length;
        return length == 0 ? null : Array.ConvertAll(found, value => value / length);
    }

    private static double[][] Centred(double[][] rows) => Mean(rows) is var mean ? Array.ConvertAll(rows, row => Less(row, mean)) : rows;

    private static double[] Mean(double[][] rows)
    {
        var sum = new double[rows[0].Length];
        foreach (var row in rows)
            TensorPrimitives.Add(sum, row, sum);
        TensorPrimitives.Divide(sum, rows.Length, sum);
        return sum;
    }

    private static double[] Less(double[] a, double[] b)
    {
        var difference = new double[a.Length];
        TensorPrimitives.Subtract(a, b, difference);
        return difference;
    }
}
