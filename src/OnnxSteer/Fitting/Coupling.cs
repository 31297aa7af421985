namespace OnnxSteer;

/// <summary>
/// The optimal transport plan between two empirical measures on the line: both sorted, walked from left to right. With as many
/// samples on both sides it pairs them by rank; else samples are split, by whole masses, so that nothing is rounded.
/// </summary>
internal ref struct Coupling
{
    private readonly ReadOnlySpan<float> source;
    private readonly ReadOnlySpan<float> target;
    private int sourceIndex;
    private int targetIndex;
    private int sourceLeft;
    private int targetLeft;

    public Coupling(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
    {
        this.source = source;
        this.target = target;
        sourceIndex = targetIndex = -1;
    }

    /// <summary>The mass of the whole plan.</summary>
    public readonly double Total => (double)source.Length * target.Length;

    public readonly float Source => source[sourceIndex];

    public readonly float Target => target[targetIndex];

    /// <summary>The mass that moves from <see cref="Source"/> to <see cref="Target"/>.</summary>
    public int Mass { get; private set; }

    public bool MoveNext()
    {
        sourceLeft -= Mass;
        targetLeft -= Mass;
        if (sourceLeft == 0)
        {
            sourceIndex++;
            sourceLeft = target.Length;
        }
        if (targetLeft == 0)
        {
            targetIndex++;
            targetLeft = source.Length;
        }
        Mass = Math.Min(sourceLeft, targetLeft);
        return sourceIndex < source.Length;
    }

    /// <summary>The 1-D Wasserstein distance of order 1 between two sorted samples.</summary>
    public static double Distance(ReadOnlySpan<float> source, ReadOnlySpan<float> target)
    {
        var plan = new Coupling(source, target);
        var sum = 0.0;
        while (plan.MoveNext())
            sum += plan.Mass * Math.Abs((double)plan.Source - plan.Target);
        return sum / plan.Total;
    }
}
