namespace OnnxSteer;

/// <summary>
/// A fixed random division of a site's samples into five folds, or as many as the smaller side has samples. With as many
/// samples on both sides, row i of one lies in the fold of row i of the other: prompts often come in pairs, and half a pair
/// would tell of the other half.
/// </summary>
internal sealed class Folds
{
    private const int Most = 5, Seed = 20230606;
    private readonly int[] source;
    private readonly int[] target;

    public Folds(SiteSamples samples)
    {
        Count = Math.Min(Most, Math.Min(samples.Source.Rows, samples.Target.Rows));
        source = Divide(samples.Source.Rows, Count);
        target = Divide(samples.Target.Rows, Count);
    }

    public int Count { get; }

    /// <summary>Which rows of either side lie in a fold, or which do not; ascending.</summary>
    public (int[] Source, int[] Target) Rows(int fold, bool inside) => (Rows(source, fold, inside), Rows(target, fold, inside));

    private static int[] Rows(int[] folds, int fold, bool inside) => [.. Enumerable.Range(0, folds.Length).Where(row => (folds[row] == fold) == inside)];

    private static int[] Divide(int rows, int count)
    {
        int[] folds = [.. Enumerable.Range(0, rows).Select(i => i % count)];
        new Random(Seed).Shuffle(folds);
        return folds;
    }
}
