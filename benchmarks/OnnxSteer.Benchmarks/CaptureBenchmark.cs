using System.Collections.Immutable;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Running;

namespace OnnxSteer.Benchmarks;

internal static class CaptureBenchmark
{
    public static IEnumerable<Comparison> Run(int rounds)
    {
        foreach (var (name, folder) in Workbench.Models())
        {
            var model = Workbench.Open(folder);
            var signature = DecoderSignature.Of(model);
            var sites = SiteTable.Of(model).Matching(@".*\.o_proj");
            ImmutableArray<int>[] rows = [.. Enumerable.Range(0, name.StartsWith("stories", StringComparison.Ordinal) ? 32 : 4).Select(i => Workbench.Prompt(64, i))];
            // The same graph without pooling: the last site's value as its only output, everything behind it pruned.
            var last = sites[^1].Places[0].At.Value;
            var tapped = model.Apply(GraphPatch.Empty.Tap(model, sites[^1].Places[0].At, "bench"));
            using var bare = Decoder.Open(tapped.Apply(Pruning.To(tapped, [last])), signature, Workbench.OneThread);
            var (pooledModel, taps) = SiteTaps.Pooled(model, sites, Pooling.Mean);
            using var pooled = Decoder.Open(pooledModel, signature, Workbench.OneThread);
            string[] outputs = [.. taps.SelectMany(tap => tap.Parts).Select(part => part.Output)];
            yield return SideBySide.Run($"{name}, {sites.Length} sites", rounds,
                ("bare run", () => Once(bare, rows, [last])),
                ("pooled run", () => Once(pooled, rows, outputs)),
                ("capture, session included", () => Capture.Run(model, sites, rows, new CaptureOptions { Session = Workbench.OneThread })));
        }
    }

    private static void Once(Decoder decoder, ImmutableArray<int>[] rows, string[] outputs)
    {
        using var state = decoder.Start(rows.Length);
        foreach (var value in state.Run(new TokenBatch(rows, decoder.Signature.Padding, decoder.Config.PadId), outputs))
            value.Dispose();
    }
}
