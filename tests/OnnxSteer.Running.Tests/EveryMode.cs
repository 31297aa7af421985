using OnnxSteer.Fixtures;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests;

/// <summary>A steered model, and what a run of it needs.</summary>
internal sealed record ModeCase(string Name, Model Model, IReadOnlyDictionary<string, float[]>? Dials = null, Adapter? Adapter = null)
{
    /// <summary>A call on nine tokens of each of three rows, and one on the next.</summary>
    public Dictionary<string, float[]>[] Calls(Subject subject, params string[] outputs)
    {
        using var runner = new Runner(Model);
        using var state = runner.Decoder.Start(subject.Rows.Length, Dials, Adapter is null ? [] : [Adapter]);
        var first = Runner.Take(outputs, state.Run(runner.Batch(subject.Part(0, 9)), outputs));
        return [first, Runner.Take(outputs, state.Run(runner.Batch(subject.Part(9, 10)), outputs))];
    }
}

/// <summary>One map written into a model in every mode there is.</summary>
internal static class EveryMode
{
    /// <summary>Baked, live by its dial, second of a bank, packed with its adapter; and folded where that can be. A case holds until the next is asked for.</summary>
    public static IEnumerable<ModeCase> Of(Model model, SteeringMap map, float strength, SteeringOptions? options = null)
    {
        options ??= new SteeringOptions();
        Model Patched(Mode mode, float at) => model.Apply(Steering.Patch(model, map, options with { Mode = mode, Strength = at }));
        yield return new ModeCase("baked", Patched(Mode.Baked, strength));
        yield return new ModeCase("live", Patched(Mode.Live, 0), Exports.Dial(strength));
        // The first map of the bank is another one of the same sites.
        var other = new SteeringMap(map.Sites.Select(site => new SiteTransport(site.Site, Transport.Of(site.Site, [.. site.Transport.W.Select(w => 2 - w)], [.. site.Transport.B.Select(b => b + 0.3f)]))).ToList(), map.Provenance);
        yield return new ModeCase("bank", model.Apply(Steering.Bank(model, [other, map], options with { Mode = Mode.Live })),
            new Dictionary<string, float[]> { ["onnxsteer.map"] = [1], ["onnxsteer.strength"] = [strength] });
        var packed = Patched(Mode.Pack, strength);
        using var folder = new TemporaryFolder();
        AdapterFile.Write(folder["a.onnx_adapter"], SteeringAdapter.Of(packed, map, strength));
        using (var adapter = Adapter.Load(folder["a.onnx_adapter"]))
            yield return new ModeCase("pack", packed, Adapter: adapter);
        if (TryFold(model, map, options with { Mode = Mode.Folded, Strength = strength }) is { } folded)
            yield return new ModeCase("folded", folded);
    }

    /// <summary>Whether the calls of two models are the same but for rounding.</summary>
    public static void Same(string what, Dictionary<string, float[]>[] expected, Dictionary<string, float[]>[] actual)
    {
        foreach (var (call, (wanted, given)) in expected.Zip(actual).Index())
            foreach (var (name, values) in wanted)
                Assert.True(Exports.Worst(values, given[name]) <= 2e-5 * Math.Max(1, Bits.Largest(values)), $"{what}, call {call + 1}, {name}: {Exports.Worst(values, given[name])}");
    }

    private static Model? TryFold(Model model, SteeringMap map, SteeringOptions options)
    {
        try
        {
            return model.Apply(Steering.Patch(model, map, options));
        }
        catch (OnnxException e) when (e.Message.Contains("cannot be folded", StringComparison.Ordinal))
        {
            return null;
        }
    }
}
