using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using OnnxSteer.Ort;

namespace OnnxSteer.Benchmarks;

/// <summary>Results as a page.</summary>
internal sealed class Report
{
    private readonly StringBuilder text = new();

    public void Add(string title, string what, IEnumerable<Comparison> comparisons)
    {
        text.AppendLine($"## {title}").AppendLine().AppendLine(what).AppendLine();
        text.AppendLine("| model | | median ms | 95 % interval | ratio to the rival | 95 % interval |").AppendLine("|---|---|---:|---:|---:|---:|");
        foreach (var comparison in comparisons)
            foreach (var times in comparison.Contenders)
            {
                var (median, low, high) = SideBySide.Median(times.Milliseconds);
                var rival = comparison.Contenders[0];
                var ratio = SideBySide.Median(times.Milliseconds.Zip(rival.Milliseconds, (mine, theirs) => mine / theirs));
                text.AppendLine(times == rival
                    ? $"| {comparison.Model} | {times.Name} | {N(median)} | {N(low)} to {N(high)} | 1 | |"
                    : $"| {comparison.Model} | {times.Name} | {N(median)} | {N(low)} to {N(high)} | {N(ratio.Median)} | {N(ratio.Low)} to {N(ratio.High)} |");
                Console.WriteLine($"{comparison.Model}: {times.Name} {N(median)} ms, ratio {N(ratio.Median)}");
            }
        text.AppendLine();
    }

    /// <summary>Adds decode steps: the change against the unsteered step, pair by pair, and what that is for each inserted node.</summary>
    public void Add(string title, string what, IEnumerable<Overhead> overheads)
    {
        text.AppendLine($"## {title}").AppendLine().AppendLine(what).AppendLine();
        text.AppendLine("| model | | nodes | median ms | change % | 95 % interval | us a node |").AppendLine("|---|---|---:|---:|---:|---:|---:|");
        foreach (var (comparison, nodes) in overheads)
            foreach (var (i, times) in comparison.Contenders.Index())
            {
                var rival = comparison.Contenders[0];
                var change = SideBySide.Median(times.Milliseconds.Zip(rival.Milliseconds, (mine, theirs) => 100 * (mine / theirs - 1)));
                var micros = SideBySide.Median(times.Milliseconds.Zip(rival.Milliseconds, (mine, theirs) => 1000 * (mine - theirs))).Median;
                text.AppendLine(i == 0 ? $"| {comparison.Model} | {times.Name} | | {N(SideBySide.Median(times.Milliseconds).Median)} | | | |"
                    : $"| {comparison.Model} | {times.Name} | {nodes[i]} | {N(SideBySide.Median(times.Milliseconds).Median)} | {P(change.Median)} | {P(change.Low)} to {P(change.High)} | {(nodes[i] > 0 ? P(micros / nodes[i]) : "")} |");
                Console.WriteLine($"{comparison.Model}: {times.Name} {N(SideBySide.Median(times.Milliseconds).Median)} ms, {P(change.Median)} % ({P(change.Low)} to {P(change.High)}), {nodes[i]} nodes");
            }
        text.AppendLine();
    }

    public void Add(string paragraphs) => text.AppendLine(paragraphs).AppendLine();

    public void Write(string folder, int rounds, string title = "Side by side", string file = "side-by-side.md", string warmUp = "two to warm up")
    {
        Directory.CreateDirectory(folder);
        var head = $"# {title}\n\n{RuntimeInformation.OSDescription.Split('#')[0].Trim()}, {RuntimeInformation.ProcessArchitecture}, {Environment.ProcessorCount} cores, no GPU; {RuntimeInformation.FrameworkDescription}; ONNX Runtime {OrtLibrary.Version} (CPU).\n"
            + $"{rounds} interleaved rounds after {warmUp}; medians, with distribution-free intervals. Ratios are taken round by round.\n\n";
        File.WriteAllText(Path.Combine(folder, file), head + text.ToString().TrimEnd() + "\n");
    }

    private static string P(double value) => value.ToString("+0.00;-0.00;0.00", CultureInfo.InvariantCulture);

    private static string N(double value) => value.ToString(value < 10 ? "0.000" : value < 100 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
}
