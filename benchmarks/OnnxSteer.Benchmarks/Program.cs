using OnnxSteer.Benchmarks;

// dotnet run --project benchmarks/OnnxSteer.Benchmarks -c Release -- [ROUNDS] [RESULTS-FOLDER]
// dotnet run --project benchmarks/OnnxSteer.Benchmarks -c Release -- patch-size [ROUNDS] [RESULTS-FOLDER]
// dotnet run --project benchmarks/OnnxSteer.Benchmarks -c Release -- fit [ROUNDS] [PROMPTS] [RESULTS-FOLDER]
// dotnet run --project benchmarks/OnnxSteer.Benchmarks -c Release -- tokenizers [ROUNDS] [RESULTS-FOLDER] [KIND]; wants npm, and bible of Debian's bible-kjv
if (args is ["tokenizers", ..])
{
    TokenizerBenchmark.Run(
        args.Length > 1 ? int.Parse(args[1]) : 9, args.Length > 2 ? args[2] : Path.Combine(Workbench.Root, "benchmarks", "results"), args.Length > 3 ? args[3] : "");
    return;
}
if (args is ["fit-probe", var contender, var count])
{
    FitBenchmark.Probe(contender, int.Parse(count));
    return;
}
if (args is ["fit", ..])
{
    FitBenchmark.Run(args.Length > 1 ? int.Parse(args[1]) : 5, args.Length > 2 ? int.Parse(args[2]) : 256, args.Length > 3 ? args[3] : Path.Combine(Workbench.Root, "benchmarks", "results"));
    return;
}
if (args is ["probe", var probed, var steeringMap, var into, ..])
{
    PatchProbe.Run(probed, steeringMap, into, args.Contains("--link"));
    return;
}
if (args is ["patch-size", ..])
{
    PatchSizeBenchmark.Run(args.Length > 1 ? int.Parse(args[1]) : 9, args.Length > 2 ? args[2] : Path.Combine(Workbench.Root, "benchmarks", "results"));
    return;
}
var rounds = args.Length > 0 ? int.Parse(args[0]) : 21;
var results = args.Length > 1 ? args[1] : Path.Combine(Workbench.Root, "benchmarks", "results");
var report = new Report();
report.Add("Patching a model folder, against copying it", "Open, patch (live, every o_proj) and save durably, in this process; `cp -r` and `sync` of the same folder.", PatchingBenchmark.Run(rounds));
report.Add("Decoding, steered and not, against a bare loop", "Greedy tokens after a prompt of 8, one row, one thread. The bare loop calls ONNX Runtime with prepared inputs and takes the largest logit.", DecodingBenchmark.Run(rounds));
report.Add("Decode steps of every mode, against the unsteered model", "One site a layer (o_proj), one step of one token a row after a past of 64, one thread; steps of all contenders in turn, differences taken pair by pair. `unsteered again` shows what chance does.", OverheadBenchmark.Run(rounds));
report.Add("Capture, against a bare run", "Mean-pooled activations of every o_proj for a batch of 32 prompts of 64 tokens (4 on SmolLM2); the rival runs the pruned, untapped graph on the same batch and reads nothing but the last site's value.", CaptureBenchmark.Run(rounds));
report.Write(results, rounds);
