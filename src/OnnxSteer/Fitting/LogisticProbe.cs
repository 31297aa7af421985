using System.Numerics.Tensors;

namespace OnnxSteer;

/// <summary>
/// L2-regularised logistic regression of target against source, by Newton's method in float64: it minimises
/// <c>|w|^2/2 + sum log(1 + exp(-y*(w·z + b)))</c>, b free, which is scikit-learn's default and what ITI's authors ran.
/// </summary>
internal static class LogisticProbe
{
    private const int MaxSteps = 100, MaxHalvings = 40;
    private const double Converged = 1e-18, SufficientDecrease = 1e-4, SmallestPivot = 1e-13;

    /// <summary>The weights, <c>[channels]</c>, that point to the target.</summary>
    public static double[] Fit(SiteSamples samples)
    {
        var problem = Problem.Of(samples);
        return problem.Weights(Solve(problem.Columns, problem.Signs, null));
    }

    /// <summary>
    /// The accuracy of probes fitted on the other folds, over all samples: the mean of the share of the source's and of the
    /// target's that are told right, so that one half is chance whatever the counts.
    /// </summary>
    public static double HeldOutAccuracy(SiteSamples samples)
    {
        var problem = Problem.Of(samples);
        var folds = new Folds(samples);
        var sources = samples.Source.Rows;
        var (rightSource, rightTarget) = (0.0, 0.0);
        // The optimum is one point: where Newton starts only saves steps.
        var start = Solve(problem.Columns, problem.Signs, null);
        for (var fold = 0; fold < folds.Count; fold++)
        {
            var (columns, signs) = problem.Take(Both(folds.Rows(fold, inside: false)));
            var margins = Margins(problem.Columns, Solve(columns, signs, start));
            var (source, target) = folds.Rows(fold, inside: true);
            rightSource += source.Sum(row => Right(-margins[row]));
            rightTarget += target.Sum(row => Right(margins[sources + row]));
        }
        return ((rightSource / sources) + (rightTarget / samples.Target.Rows)) / 2;

        int[] Both((int[] Source, int[] Target) rows) => [.. rows.Source, .. rows.Target.Select(row => row + sources)];
        double Right(double margin) => margin > 0 ? 1 : margin == 0 ? 0.5 : 0;
    }

    // Columns are features, the last of ones; the last weight is b.
    private static double[] Solve(double[][] columns, double[] signs, double[]? start)
    {
        var size = columns.Length;
        var weights = start?.ToArray() ?? new double[size];
        var hessian = Array.ConvertAll(new int[size], _ => new double[size]);
        var scaled = Array.ConvertAll(columns, column => new double[column.Length]);
        var margins = Margins(columns, weights);
        var objective = Objective(weights, margins, signs);
        for (var step = 0; step < MaxSteps; step++)
        {
            var (residuals, roots) = (new double[signs.Length], new double[signs.Length]);
            for (var row = 0; row < signs.Length; row++)
            {
                var wrong = 1 / (1 + Math.Exp(signs[row] * margins[row]));
                residuals[row] = -signs[row] * wrong;
                roots[row] = Math.Sqrt(wrong * (1 - wrong));
            }
            var gradient = new double[size];
            for (var i = 0; i < size; i++)
            {
                gradient[i] = TensorPrimitives.Dot<double>(columns[i], residuals) + (i < size - 1 ? weights[i] : 0);
                TensorPrimitives.Multiply<double>(columns[i], roots, scaled[i]);
                for (var j = 0; j <= i; j++)
                    hessian[i][j] = TensorPrimitives.Dot<double>(scaled[i], scaled[j]) + (i == j && i < size - 1 ? 1 : 0);
            }
            var direction = SolveCholesky(hessian, gradient);
            var decrement = TensorPrimitives.Dot<double>(direction, gradient);
            if (!(decrement > Converged * (1 + objective)) || !Descend(direction, decrement))
                break;
        }
        return weights;

        bool Descend(double[] direction, double decrement)
        {
            for (var (halving, length) = (0, 1.0); halving < MaxHalvings; halving++, length /= 2)
            {
                double[] next = [.. weights.Zip(direction, (w, d) => w - (length * d))];
                var nextMargins = Margins(columns, next);
                var nextObjective = Objective(next, nextMargins, signs);
                if (!(nextObjective <= objective - (SufficientDecrease * length * decrement)))
                    continue;
                (weights, margins, objective) = (next, nextMargins, nextObjective);
                return true;
            }
            return false;
        }
    }

    private static double[] Margins(double[][] columns, double[] weights)
    {
        var margins = new double[columns[0].Length];
        for (var i = 0; i < columns.Length; i++)
            TensorPrimitives.MultiplyAdd(columns[i], weights[i], margins, margins);
        return margins;
    }

    private static double Objective(double[] weights, double[] margins, double[] signs)
    {
        var sum = TensorPrimitives.SumOfSquares<double>(weights.AsSpan(0, weights.Length - 1)) / 2;
        for (var row = 0; row < signs.Length; row++)
        {
            var margin = signs[row] * margins[row];
            sum += Math.Max(0, -margin) + double.LogP1(Math.Exp(-Math.Abs(margin)));
        }
        return sum;
    }

    // The lower half of the matrix becomes its factor.
    private static double[] SolveCholesky(double[][] matrix, double[] right)
    {
        var size = right.Length;
        var result = new double[size];
        for (var i = 0; i < size; i++)
        {
            var row = matrix[i];
            var diagonal = row[i];
            for (var j = 0; j < i; j++)
                row[j] = (row[j] - TensorPrimitives.Dot<double>(row.AsSpan(0, j), matrix[j].AsSpan(0, j))) / matrix[j][j];
            row[i] = Math.Sqrt(Math.Max(diagonal - TensorPrimitives.SumOfSquares<double>(row.AsSpan(0, i)), (SmallestPivot * diagonal) + double.Epsilon));
            result[i] = (right[i] - TensorPrimitives.Dot<double>(row.AsSpan(0, i), result.AsSpan(0, i))) / row[i];
        }
        for (var i = size - 1; i >= 0; i--)
        {
            result[i] /= matrix[i][i];
            for (var j = 0; j < i; j++)
                result[j] -= matrix[i][j] * result[i];
        }
        return result;
    }

    /// <summary>The samples as columns of features, in the basis of their own span where there are fewer samples than channels:
    /// the best weights lie in it, and turning the axes changes nothing else.</summary>
    private sealed record Problem(double[][] Columns, double[] Signs, double[][]? Basis)
    {
        public static Problem Of(SiteSamples samples)
        {
            double[][] rows = [.. samples.Source.ToDoubles(), .. samples.Target.ToDoubles()];
            double[] signs = [.. Enumerable.Repeat(-1.0, samples.Source.Rows), .. Enumerable.Repeat(1.0, samples.Target.Rows)];
            var basis = rows.Length < samples.Channels ? Span(rows) : null;
            if (basis is not null)
                rows = Array.ConvertAll(rows, row => Array.ConvertAll(basis, axis => TensorPrimitives.Dot<double>(axis, row)));
            double[][] columns = [.. Enumerable.Range(0, rows[0].Length).Select(i => Array.ConvertAll(rows, row => row[i])), Array.ConvertAll(rows, _ => 1.0)];
            return new Problem(columns, signs, basis);
        }

        public (double[][] Columns, double[] Signs) Take(int[] rows) =>
            (Array.ConvertAll(Columns, column => Array.ConvertAll(rows, row => column[row])), Array.ConvertAll(rows, row => Signs[row]));

        public double[] Weights(double[] solution)
        {
            if (Basis is null)
                return solution[..^1];
            var weights = new double[Basis.Length == 0 ? 0 : Basis[0].Length];
            for (var i = 0; i < Basis.Length; i++)
                TensorPrimitives.MultiplyAdd(Basis[i], solution[i], weights, weights);
            return weights;
        }

        // Gram and Schmidt, twice for the digits.
        private static double[][] Span(double[][] rows)
        {
            const double independent = 1e-10;
            var basis = new List<double[]>();
            foreach (var row in rows)
            {
                var rest = row.ToArray();
                for (var pass = 0; pass < 2; pass++)
                    foreach (var axis in basis)
                        TensorPrimitives.MultiplyAdd(axis, -TensorPrimitives.Dot<double>(axis, rest), rest, rest);
                var length = TensorPrimitives.Norm<double>(rest);
                if (basis.Count > 0 && !(length > independent * TensorPrimitives.Norm<double>(row)))
                    continue;
                basis.Add(Array.ConvertAll(rest, value => length == 0 ? 0 : value / length));
            }
            return [.. basis];
        }
    }
}
