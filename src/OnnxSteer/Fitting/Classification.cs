namespace OnnxSteer;

/// <summary>How well one number tells two sets of samples apart.</summary>
public static class Classification
{
    /// <summary>
    /// The area under the ROC curve: the share of pairs in which the positive sample is larger, ties counting one half.
    /// </summary>
    /// <param name="positive">At least one sample, ascending.</param>
    /// <param name="negative">At least one sample, ascending.</param>
    public static double Auroc<T>(ReadOnlySpan<T> positive, ReadOnlySpan<T> negative) where T : IComparable<T>
    {
        var (below, upTo) = (0, 0);
        var twice = 0L;
        foreach (var sample in positive)
        {
            while (below < negative.Length && negative[below].CompareTo(sample) < 0)
                below++;
            upTo = Math.Max(upTo, below);
            while (upTo < negative.Length && negative[upTo].CompareTo(sample) == 0)
                upTo++;
            twice += below + upTo;
        }
        return twice / (2.0 * positive.Length * negative.Length);
    }

    /// <summary>
    /// The average precision: the precision at every threshold, weighted by the recall it adds, as scikit-learn has it. Equal
    /// samples pass a threshold together. A channel that tells nothing has the share of positive samples.
    /// </summary>
    /// <param name="positive">At least one sample, ascending.</param>
    /// <param name="negative">Samples, ascending.</param>
    public static double AveragePrecision(ReadOnlySpan<float> positive, ReadOnlySpan<float> negative)
    {
        var (above, others) = (positive.Length, negative.Length);
        var sum = 0.0;
        while (above > 0)
        {
            var threshold = positive[above - 1];
            var before = above;
            while (above > 0 && positive[above - 1] == threshold)
                above--;
            while (others > 0 && negative[others - 1] >= threshold)
                others--;
            var hits = positive.Length - above;
            sum += (before - above) * (double)hits / (hits + negative.Length - others);
        }
        return sum / positive.Length;
    }

    /// <summary>The standard error of an AUROC (Hanley and McNeil 1982), from this many samples.</summary>
    /// <remarks>At 1 and at 0 the formula gives none at all; it is taken half a sample inside.</remarks>
    public static double AurocError(double auroc, int positive, int negative)
    {
        var inside = 0.5 / Math.Min(positive, negative);
        var a = Math.Clamp(auroc, inside, 1 - inside);
        var (q1, q2) = (a / (2 - a), 2 * a * a / (1 + a));
        return Math.Sqrt(((a * (1 - a)) + ((positive - 1) * (q1 - (a * a))) + ((negative - 1) * (q2 - (a * a)))) / ((double)positive * negative));
    }
}
