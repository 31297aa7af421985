using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests;

/// <summary>Packed models: nothing without an adapter, the baked map with one, switched from call to call.</summary>
public sealed class PackTests
{
    public static TheoryData<string, double> Cases => new() { { "stories260k/optimum", 2e-5 }, { "stories260k-h16/genai-fp32", 2e-5 }, { "stories260k-h16/genai-cuda-fp16", 2e-2 } };

    [SharedTheory, MemberData(nameof(Cases))]
    public void Adapters_are_switched_from_call_to_call(string export, double tolerance)
    {
        var subject = Subject.Of(export);
        var sites = subject.Table.Sites.Where((_, i) => i % 5 == 2).ToList();
        var (first, second) = (subject.Map(Kind.Bounded, sites), subject.Map(Kind.Affine, sites.Skip(2)));
        using var folder = new TemporaryFolder();
        var (patch, name) = SteeredFolder.WritePack(subject.Model, first, new SteeringOptions { Strength = 0.6f, Label = "calm" }, folder["pack"]);
        var packed = ModelFile.Open(folder["pack"]);
        Assert.Equal("calm.onnx_adapter", name);
        AdapterFile.Write(folder["second.onnx_adapter"], SteeringAdapter.Of(packed, second, 0.4f));
        using var runner = new Runner(packed);
        using Adapter one = Adapter.Load(folder["pack", name]), two = Adapter.Load(folder["second.onnx_adapter"]);
        var plain = Logits(subject.Model, subject.Rows);
        foreach (var (adapter, map, strength) in new (Adapter?, SteeringMap?, float)[] { (null, null, 0), (one, first, 0.6f), (two, second, 0.4f), (null, null, 0), (one, first, 0.6f) })
        {
            var actual = Logits(runner, subject.Rows, adapter);
            if (map is null)
            {
                Assert.True(Bits.Same(plain, actual), "without an adapter something changed");
                continue;
            }
            var expected = Logits(Exports.Patch(subject.Model, map, Mode.Baked, strength), subject.Rows);
            Assert.InRange(Exports.Worst(expected, actual), 0, tolerance * Math.Max(1, Bits.Largest(expected)));
            Assert.False(Bits.Same(plain, actual));
        }
        Assert.Equal(subject.Model.Source.ToArray(), PatchRecord.Undo(packed).Source.ToArray());
        SteeredFolder.Undo(packed, all: true, folder["original"]);
        Assert.Empty(Directory.GetFiles(folder["original"], "*.onnx_adapter"));
        // A factor and a shift for each value, whatever the first map needs of them.
        Assert.All(patch.Edits.OfType<AddInput>().GroupBy(input => input.Info.Name.Split(':', 2)[1]), value => Assert.Equal(4, value.Count()));
    }

    [SharedFact]
    public void A_map_that_the_pack_has_no_parameters_for_is_refused()
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        var site = subject.Table.Find("model.layers.1.self_attn.o_proj");
        SteeringMap affine = subject.Map(Kind.Affine, site), bounded = subject.Map(Kind.Bounded, site), other = subject.Map(Kind.Affine, subject.Table.Find("model.layers.2.self_attn.o_proj"));
        Assert.Contains("no patch of mode pack", Assert.Throws<OnnxException>(() => SteeringAdapter.Of(subject.Model, affine, 1)).Message, StringComparison.Ordinal);
        var packed = subject.Model.Apply(Steering.Patch(subject.Model, affine, new SteeringOptions { Mode = Mode.Pack }));
        Assert.NotEmpty(SteeringAdapter.Of(packed, affine, 1));
        Assert.Contains("packed without", Assert.Throws<OnnxException>(() => SteeringAdapter.Of(packed, bounded, 1)).Message, StringComparison.Ordinal);
        Assert.Contains("other sites", Assert.Throws<OnnxException>(() => SteeringAdapter.Of(packed, other, 1)).Message, StringComparison.Ordinal);
        Assert.Contains("labelled 'x'", Assert.Throws<OnnxException>(() => SteeringAdapter.Of(packed, affine, 1, "x")).Message, StringComparison.Ordinal);
    }

    private static float[] Logits(Model model, ImmutableArray<int>[] rows)
    {
        using var runner = new Runner(model);
        return Logits(runner, rows, null);
    }

    private static float[] Logits(Runner runner, ImmutableArray<int>[] rows, Adapter? adapter)
    {
        using var state = runner.Decoder.Start(rows.Length, null, adapter is null ? [] : [adapter]);
        return Runner.Take(["logits"], state.Run(runner.Batch(rows), ["logits"]))["logits"];
    }
}
