using System.Diagnostics;

namespace OnnxSteer.Benchmarks;

/// <summary>What a contender took, round by round.</summary>
/// <param name="Name">Who.</param>
/// <param name="Milliseconds">Wall time of each round.</param>
internal sealed record Times(string Name, double[] Milliseconds);

/// <summary>A row of results: contenders on one model, the first of them the rival that ratios are taken against.</summary>
internal sealed record Comparison(string Model, IReadOnlyList<Times> Contenders);

/// <summary>Times contenders in interleaved rounds, so that whatever else the machine does falls on all of them alike.</summary>
internal static class SideBySide
{
    private const int WarmUps = 2;

    public static Comparison Run(string model, int rounds, params (string Name, Action Work)[] contenders) => Run(model, rounds, WarmUps, contenders);

    public static Comparison Run(string model, int rounds, int warmUps, params (string Name, Action Work)[] contenders)
    {
        foreach (var (_, work) in contenders)
            for (var i = 0; i < warmUps; i++)
                work();
        var times = contenders.Select(_ => new double[rounds]).ToArray();
        for (var round = 0; round < rounds; round++)
            for (var i = 0; i < contenders.Length; i++)
            {
                // Another one begins each round.
                var turn = (i + round) % contenders.Length;
                var start = Stopwatch.GetTimestamp();
                contenders[turn].Work();
                times[turn][round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        return new Comparison(model, [.. contenders.Select((contender, i) => new Times(contender.Name, times[i]))]);
    }

    /// <summary>Median with a 95 % interval from order statistics (binomial, no assumption on the distribution).</summary>
    public static (double Median, double Low, double High) Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var spread = (int)Math.Ceiling(1.96 * Math.Sqrt(sorted.Length) / 2);
        var (low, high) = (Math.Max(0, sorted.Length / 2 - spread), Math.Min(sorted.Length - 1, sorted.Length / 2 + spread));
        var middle = sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
        return (middle, sorted[low], sorted[high]);
    }
}
