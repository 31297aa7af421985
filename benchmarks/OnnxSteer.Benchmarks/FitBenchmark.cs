using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Running;

namespace OnnxSteer.Benchmarks;

/// <summary>Fits on SmolLM2-135M int4, all at once and causal, against bare passes over the same batches and against running anew for every site.</summary>
internal sealed class FitBenchmark
{
    private readonly Model _model;
    private readonly ImmutableArray<Site> _sites;

    public FitBenchmark()
    {
        _model = Workbench.Open(Workbench.Models().Last().Folder);
        _sites = [.. SiteTable.Of(_model).Matching(@".*\.o_proj")];
    }

    private static CaptureOptions Options { get; } = new() { Session = Workbench.OneThread };

    public static void Run(int rounds, int prompts, string results)
    {
        var bench = new FitBenchmark();
        var report = new Report();
        var (source, target) = Prompts(prompts);
        using (var bare = bench.Bare())
            report.Add("Fits, against a bare pass over the same batches",
                $"{bench._sites.Length} sites (every o_proj), {prompts} + {prompts} prompts of 16 to 128 tokens, 32 a batch, one thread. The bare pass calls ONNX Runtime alone, on the graph up to the last site, session opened before; the fits include opening sessions, fitting and reports.",
                [SideBySide.Run("SmolLM2-135M int4", rounds, 1, ("bare pass", () => Pass(bare, source, target)), ("fit, all sites at once", () => bench.AtOnce(source, target)), ("causal fit", () => bench.Causal(bench._sites, source, target)))]);
        var (few, others) = Prompts(Math.Max(prompts / 8, 2));
        report.Add("Causal fits, against running anew for every site", $"The same with {few.Rows.Length} + {others.Rows.Length} prompts; the rival runs the graph up to each site, with all maps so far in it.",
            [SideBySide.Run("SmolLM2-135M int4", 1, 0, ("running anew", () => bench.Anew(few, others)), ("causal fit", () => bench.Causal(bench._sites, few, others)))]);
        report.Add(Curves(bench, Math.Max(prompts / 4, 2), rounds));
        report.Add(Memory(prompts));
        report.Write(results, rounds, "Fits", "fit.md", "one to warm up");
    }

    /// <summary>One fit in a process of its own, whose memory is then its own; prints milliseconds, those of processor time, and MiB.</summary>
    public static void Probe(string what, int prompts)
    {
        var bench = new FitBenchmark();
        var (source, target) = Prompts(prompts);
        var start = Stopwatch.GetTimestamp();
        if (what == "bare")
            using (var bare = bench.Bare())
                Pass(bare, source, target);
        else if (what == "causal")
            bench.Causal(bench._sites, source, target);
        else
            bench.AtOnce(source, target);
        var peak = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} {Environment.CpuUsage.TotalTime.TotalMilliseconds:0} {int.Parse(peak, CultureInfo.InvariantCulture) / 1024}"));
    }

    private static string Memory(int prompts)
    {
        var lines = new[] { "bare", "once", "causal" }.Select(what => (what, Output: Workbench.Output(Environment.ProcessPath!, "fit-probe", what, prompts.ToString(CultureInfo.InvariantCulture)).Split(' ')));
        return "## Peak memory\n\nResident memory at its peak (VmHWM) of a process that does nothing else, weights and runtime included.\n\n| | MiB |\n|---|---:|\n"
            + string.Concat(lines.Select(line => $"| {line.what} | {line.Output[2].Trim()} |\n"));
    }

    // What one more site costs, and one more sample.
    private static string Curves(FitBenchmark bench, int prompts, int rounds)
    {
        var text = $"## Curves of the causal fit\n\nMedian of {rounds} runs in turn. The last layers' sites are taken, so that the same part of the graph runs for any number of them.\n\n| sites | prompts | ms |\n|---:|---:|---:|\n";
        var cases = new[] { (1, prompts), (8, prompts), (15, prompts), (30, prompts), (30, prompts / 2), (30, prompts * 2) };
        var times = cases.Select(_ => new List<double>()).ToList();
        for (var round = 0; round < rounds; round++)
            foreach (var (index, (sites, count)) in cases.Index())
            {
                var (source, target) = Prompts(count);
                var start = Stopwatch.GetTimestamp();
                bench.Causal([.. bench._sites[^sites..]], source, target);
                times[index].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        return text + string.Concat(cases.Zip(times, (it, ms) => string.Create(CultureInfo.InvariantCulture, $"| {it.Item1} | {it.Item2} + {it.Item2} | {SideBySide.Median(ms).Median:0} |\n")));
    }

    private static (TokenizedPrompts Source, TokenizedPrompts Target) Prompts(int count)
    {
        TokenizedPrompts Of(int seed) => new([.. Enumerable.Range(0, count).Select(i => Workbench.Prompt(16 + (i * 29 + seed) % 113, i + seed))], 0);
        return (Of(0), Of(1000));
    }

    private Decoder Bare()
    {
        var last = _sites[^1].Places[0].At;
        var tapped = _model.Apply(GraphPatch.Empty.Tap(_model, last, "bench"));
        return Decoder.Open(tapped.Apply(Pruning.To(tapped, [last.Value])), DecoderSignature.Of(_model), Options.Session);
    }

    private static void Pass(Decoder decoder, params TokenizedPrompts[] sides)
    {
        foreach (var prompts in sides)
            foreach (var batch in BatchPlan.Of(prompts.Rows.Select(row => row.Length), Options.BatchSize).Batches)
            {
                using var state = decoder.Start(batch.Length);
                foreach (var value in state.Run(new TokenBatch([.. batch.Select(row => prompts.Rows[row])], decoder.Signature.Padding, decoder.Config.PadId), [decoder.Session.Outputs[^1].Name]))
                    value.Dispose();
            }
    }

    private void AtOnce(TokenizedPrompts source, TokenizedPrompts target)
    {
        ActivationSet Of(TokenizedPrompts prompts) => new(Capture.Run(_model, _sites, prompts.Rows, Options));
        Fit.Linear(Of(source), Of(target), Band.QAll);
    }

    private void Causal(IReadOnlyList<Site> sites, TokenizedPrompts source, TokenizedPrompts target) =>
        CausalFit.Run(_model, sites, new LinearFit(), Band.QAll, source, target, new CausalOptions { Capture = Options });

    private void Anew(TokenizedPrompts source, TokenizedPrompts target)
    {
        var fits = new List<SiteTransport>();
        foreach (var site in _sites)
        {
            var steered = fits.Count == 0 ? _model : _model.Apply(Steering.Patch(_model, new SteeringMap(fits), new SteeringOptions { AllowIdentity = true }));
            Matrix Of(TokenizedPrompts prompts) => Capture.Run(steered, [SiteTable.Of(steered).Find(site.Name)], prompts.Rows, Options)[0].Values;
            fits.Add(Fit.Site(new LinearFit(), site.Name, Of(source), Of(target), Band.QAll).Transport);
        }
    }
}
