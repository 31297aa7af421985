using OnnxSteer.Onnx;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Benchmarks;

/// <summary>What each way to write a map costs in a decode step: one site a layer, a past of 64 tokens, one thread.</summary>
internal static class OverheadBenchmark
{
    private const int Past = 64, Maps = 16;

    /// <summary>A session that repeats one decode step on inputs prepared once; what it gives out is let go.</summary>
    private sealed class Step : IDisposable
    {
        private readonly Decoder _decoder;
        private readonly string[] _inputs, _outputs;
        private readonly OrtValue[] _feeds;
        private readonly OrtValue?[] _results;

        public Step(Model model, int rows, params (string Name, OrtValue Value)[] dials)
        {
            _decoder = Decoder.Open(model, Workbench.OneThread);
            var signature = _decoder.Signature;
            _inputs = [signature.InputIds, signature.AttentionMask!, .. signature.PositionIds is { } positions ? [positions] : Array.Empty<string>(), .. signature.Cache.Select(tensor => tensor.Past), .. dials.Select(dial => dial.Name)];
            _outputs = [signature.Logits!, .. signature.Cache.Select(tensor => tensor.Present)];
            _results = new OrtValue?[_outputs.Length];
            var mask = new long[rows * (Past + 1)];
            mask.AsSpan().Fill(1);
            _feeds = [
                OrtValue.FromMemory(Enumerable.Range(0, rows).Select(row => 7L + row).ToArray(), rows, 1),
                OrtValue.FromMemory(mask, rows, Past + 1),
                .. signature.PositionIds is null ? [] : new[] { OrtValue.FromMemory(Enumerable.Repeat((long)Past, rows).ToArray(), rows, 1) },
                .. signature.Cache.Select(tensor => Cache(tensor, rows)),
                .. dials.Select(dial => dial.Value)];
        }

        public int Nodes { get; init; }

        public void Run()
        {
            Array.Clear(_results);
            _decoder.Session.Run(_inputs, _feeds, _outputs, _results);
            foreach (var value in _results)
                value!.Dispose();
        }

        public void Dispose()
        {
            foreach (var value in _feeds)
                value.Dispose();
            _decoder.Dispose();
        }

        // Small numbers of both signs, so that attention has something to weigh.
        private OrtValue Cache(CacheTensor tensor, int rows)
        {
            var (heads, size) = ((tensor.Heads ?? _decoder.Config.KeyValueHeads)!.Value, (tensor.HeadSize ?? _decoder.Config.HeadSize)!.Value);
            var random = new Random(1);
            return OrtValue.FromMemory(Enumerable.Range(0, rows * heads * Past * size).Select(_ => random.NextSingle() - 0.5f).ToArray(), rows, heads, Past, size);
        }
    }

    public static IEnumerable<Overhead> Run(int rounds)
    {
        foreach (var (name, folder) in Workbench.Models())
        {
            var model = Workbench.Open(folder);
            foreach (var rows in new[] { 1, 16 })
            {
                var contenders = Contenders(model, rows).ToList();
                var steps = contenders.ConvertAll(contender => new Step(contender.Model, rows, contender.Dials) { Nodes = contender.Model.Graph.Nodes.Length - model.Graph.Nodes.Length });
                var small = name.StartsWith("stories", StringComparison.Ordinal);
                var times = SideBySide.Run($"{name}, {rows} row{(rows == 1 ? "" : "s")}", rounds * (small ? 40 : rows == 1 ? 20 : 5),
                    [.. contenders.Zip(steps, (contender, step) => (contender.Name, (Action)step.Run))]);
                steps.ForEach(step => step.Dispose());
                yield return new Overhead(times, [.. steps.Select(step => step.Nodes)]);
            }
        }
    }

    private static IEnumerable<(string Name, Model Model, (string, OrtValue)[] Dials)> Contenders(Model model, int rows)
    {
        var map = Workbench.Map(model);
        Model Steer(SteeringMap with, Mode mode) => model.Apply(Steering.Patch(model, with, new SteeringOptions { Mode = mode }));
        yield return ("unsteered", model, []);
        yield return ("unsteered again", model, []);
        // A product without bias cannot take the map's shift unless a fused norm reads it.
        if (Fold(model, map) is { } folded)
            yield return ("folded", folded, []);
        yield return ("baked", Steer(map, Mode.Baked), []);
        yield return ("live", Steer(map, Mode.Live), [("onnxsteer.strength", OrtValue.FromMemory(new[] { 0.7f }, 1))]);
        var bank = Steering.Bank(model, [.. Enumerable.Range(0, Maps).Select(i => Workbench.Map(model, 1.001f + 1e-5f * i))], new SteeringOptions { Mode = Mode.Live });
        yield return ($"bank of {Maps} maps, {(rows == 1 ? "one of them" : "each row its own")}", model.Apply(bank),
            [("onnxsteer.strength", OrtValue.FromMemory(new[] { 0.7f }, 1)), ("onnxsteer.map", OrtValue.FromMemory(Enumerable.Range(3, rows).Select(row => (long)(row % Maps)).ToArray(), rows))]);
        yield return ("baked, masked", Steer(Workbench.Bounded(map), Mode.Baked), []);
    }

    private static Model? Fold(Model model, SteeringMap map)
    {
        try
        {
            return model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = Mode.Folded }));
        }
        catch (OnnxException)
        {
            return null;
        }
    }
}

/// <summary>Times of decode steps, the unsteered model's first, and how many nodes each contender has beyond it.</summary>
internal sealed record Overhead(Comparison Comparison, IReadOnlyList<int> Nodes);
