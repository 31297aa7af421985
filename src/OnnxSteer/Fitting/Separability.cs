namespace OnnxSteer;

/// <summary>
/// How well source and target are told apart at a site: the AUROC of held-out samples' projections on the difference of means,
/// each channel divided by its variance within the sides, as the mean over five folds of samples with the direction fitted on
/// the others. One half is chance.
/// </summary>
/// <param name="Auroc">From 0 to 1; below one half only by chance.</param>
/// <param name="Error">Its standard error from this many samples, that of independent ones (Hanley and McNeil 1982).</param>
/// <param name="ErrorOfChance">The standard error that one half would have, were the two sides alike.</param>
public sealed record Separability(double Auroc, double Error, double ErrorOfChance)
{
    /// <summary>Whether the AUROC lies two standard errors above chance.</summary>
    public bool IsBeyondChance => Auroc > 0.5 + (2 * ErrorOfChance);

    internal static Separability Of(SiteSamples samples, Folds folds)
    {
        var (sources, targets) = (samples.Source.Rows, samples.Target.Rows);
        var (sourceSums, targetSums) = (new FoldSums(samples.Source), new FoldSums(samples.Target));
        var sum = 0.0;
        for (var fold = 0; fold < folds.Count; fold++)
        {
            var (source, target) = folds.Rows(fold, inside: true);
            var direction = Direction(sourceSums.Without(source), targetSums.Without(target));
            double[] Projected(Matrix values, int[] rows)
            {
                var projections = values.Take(rows).Project(direction);
                Array.Sort(projections);
                return projections;
            }
            sum += Classification.Auroc<double>(Projected(samples.Target, target), Projected(samples.Source, source));
        }
        var auroc = sum / folds.Count;
        return new Separability(auroc, Classification.AurocError(auroc, targets, sources), Math.Sqrt((sources + targets + 1) / (12.0 * sources * targets)));
    }

    private static double[] Direction((double Mean, double Variance)[] source, (double Mean, double Variance)[] target)
    {
        // A channel that is constant on both sides, at different values, would tell them apart without error.
        const double least = 1e-12;
        return [.. source.Zip(target, (a, b) => (b.Mean - a.Mean) / (((a.Variance + b.Variance) / 2) + (least * (1 + (a.Mean * a.Mean) + (b.Mean * b.Mean)))))];
    }

    /// <summary>Sums and squares of all rows, less the first for the digits, so that a fold can be taken out of them.</summary>
    private sealed class FoldSums
    {
        private readonly Matrix values;
        private readonly double[] shift, sums, squares;

        public FoldSums(Matrix values)
        {
            this.values = values;
            shift = Array.ConvertAll(values.Row(0).ToArray(), value => (double)value);
            (sums, squares) = (new double[values.Columns], new double[values.Columns]);
            for (var row = 0; row < values.Rows; row++)
                Add(row, 1, sums, squares);
        }

        public (double Mean, double Variance)[] Without(int[] rows)
        {
            var (rest, restSquares) = (sums.ToArray(), squares.ToArray());
            foreach (var row in rows)
                Add(row, -1, rest, restSquares);
            var count = values.Rows - rows.Length;
            return [.. rest.Select((sum, channel) => (shift[channel] + (sum / count), Math.Max(0, (restSquares[channel] - (sum * sum / count)) / count)))];
        }

        private void Add(int row, int sign, double[] to, double[] toSquares)
        {
            var cells = values.Row(row);
            for (var channel = 0; channel < cells.Length; channel++)
            {
                var value = cells[channel] - shift[channel];
                to[channel] += sign * value;
                toSquares[channel] += sign * value * value;
            }
        }
    }
}
