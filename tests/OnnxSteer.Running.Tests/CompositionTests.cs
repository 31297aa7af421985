using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Running.Tests;

/// <summary>Patches of all modes on one site: the later acts on what the earlier made, and they come off one by one.</summary>
public sealed class CompositionTests
{
    // A site that can be folded with a factor and a shift in every export.
    public static TheoryData<string, string> Cases => new()
    {
        { "tiny/qwen2-genai-fp32", @"model\.layers\.1\.self_attn\.k_proj" }, { "tiny/opt-optimum", ".*layers.1.final_layer_norm" }, { "stories260k-h16/genai-int4-floatzp", @"model\.layers\.2\.self_attn\.o_proj" },
        { "stories260k-h16/genai-int4-floatzp", @"model\.layers\.1\.mlp\.(gate|up)_proj" },
    };

    [SharedTheory, MemberData(nameof(Cases))]
    public void Any_three_modes_do_what_three_baked_maps_do(string export, string pattern)
    {
        var model = Exports.Open(export);
        var sites = SiteTable.Of(model).Matching(pattern);
        var maps = Enumerable.Range(1, 3).Select(seed => Map(sites, seed)).ToList();
        ImmutableArray<int>[] rows = [[1, 7, 40, 5, 99, 30, 8]];
        float[] Logits(Model steered)
        {
            using var runner = new Runner(steered);
            return runner.Logits(rows);
        }
        var expected = Logits(maps.Aggregate(model, (before, map) => before.Apply(Steering.Patch(before, map))));
        Assert.True(Exports.Worst(expected, Logits(model)) > 1e-3 * Bits.Largest(expected));
        Mode[] modes = [Mode.Folded, Mode.Baked, Mode.Live];
        foreach (var (one, two, three) in modes.SelectMany(_ => modes, (one, two) => (one, two)).SelectMany(_ => modes, (pair, three) => (pair.one, pair.two, three)))
        {
            var chain = new List<Model> { model };
            foreach (var (i, mode) in new[] { one, two, three }.Index())
                chain.Add(chain[^1].Apply(Steering.Patch(chain[^1], maps[i], new SteeringOptions { Mode = mode, Label = $"m{i}" })));
            // Into the parameters of a live map too: what it makes under any dial is scaled and shifted.
            Assert.InRange(Exports.Worst(expected, Logits(chain[^1])), 0, 2e-5 * Math.Max(1, Bits.Largest(expected)));
            for (var i = chain.Count - 1; i > 0; i--)
                Assert.Equal(chain[i - 1].Source.ToArray(), PatchRecord.Undo(chain[i]).Source.ToArray());
        }
    }

    [SharedFact]
    public void Folded_patches_are_saved_with_what_undoing_them_needs()
    {
        // A large inline weight goes to a data file of the patch, twice; and comes back.
        using var folder = new TemporaryFolder();
        var model = BigInline(folder);
        var original = File.ReadAllBytes(folder["source", "model.onnx"]);
        var map = new SteeringMap([new SiteTransport("value:y", Transport.Of("value:y", [.. Enumerable.Range(0, 600).Select(i => 0.5f + i / 600f)], [.. new float[600]]))]);
        var options = new SteeringOptions { Mode = Mode.Folded, Strength = 0.5f };
        Assert.Throws<OnnxException>(() => Steering.Patch(model, map, options with { Positions = Positions.Last }));
        SteeredFolder.Write(model, Steering.Patch(model, map, options), folder["once"]);
        var once = ModelFile.Open(folder["once"]);
        Assert.Single(once.Graph.Nodes);
        Assert.InRange(once.Source.Length, 0, 10_000);
        Assert.True(File.Exists(folder["once", "model.onnx.onnxsteer1.data"]));
        SteeredFolder.Write(once, Steering.Patch(once, map, options), folder["twice"]);
        var twice = ModelFile.Open(folder["twice"]);
        Assert.Equal(2, Directory.GetFiles(folder["twice"], "*.data").Length);
        float At(Model steered, int index) => steered.Graph.Initializer("w")!.ToSingles()[index];
        var factor = 0.75f + 0.5f * 599 / 600f - 0.0f;
        Assert.Equal(At(model, 599) * factor * factor, At(twice, 599), 1e-5);
        SteeredFolder.Undo(twice, all: false, folder["one-off"]);
        Assert.Equal(File.ReadAllBytes(folder["once", "model.onnx"]), File.ReadAllBytes(folder["one-off", "model.onnx"]));
        Assert.Equal(File.ReadAllBytes(folder["once", "model.onnx.onnxsteer1.data"]), File.ReadAllBytes(folder["one-off", "model.onnx.onnxsteer1.data"]));
        SteeredFolder.Undo(ModelFile.Open(folder["one-off"]), all: false, folder["off"]);
        SteeredFolder.Undo(twice, all: true, folder["all-off"]);
        foreach (var undone in new[] { "off", "all-off" })
        {
            Assert.Equal(original, File.ReadAllBytes(folder[undone, "model.onnx"]));
            Assert.Equal(["model.onnx"], Directory.GetFiles(folder[undone]).Select(Path.GetFileName));
        }
        // What was kept is checked before it is used.
        var kept = File.ReadAllBytes(folder["once", "model.onnx.onnxsteer1.data"]);
        kept[^5] ^= 77;
        File.Delete(folder["once", "model.onnx.onnxsteer1.data"]);
        File.WriteAllBytes(folder["once", "model.onnx.onnxsteer1.data"], kept);
        Assert.Contains("changed since", Assert.Throws<OnnxException>(() => PatchRecord.Undo(ModelFile.Open(folder["once"]))).Message, StringComparison.Ordinal);
    }

    private static Model BigInline(TemporaryFolder folder)
    {
        var proto = new Onnx.Protobuf.ModelProto
        {
            IrVersion = 9,
            OpsetImport = { new Onnx.Protobuf.OperatorSetIdProto { Version = 17 } },
            Graph = new Onnx.Protobuf.GraphProto
            {
                Name = "g",
                Node = { new Onnx.Protobuf.NodeProto { OpType = "MatMul", Name = "m", Input = { "x", "w" }, Output = { "y" } } },
                Input = { Value("x", 600) },
                Output = { Value("y", 600) },
                Initializer = { new Onnx.Protobuf.TensorProto { Name = "w", DataType = 1, Dims = { 600, 600 }, RawData = Google.Protobuf.ByteString.CopyFrom([.. Enumerable.Range(0, 360_000).SelectMany(i => BitConverter.GetBytes((i % 1000) / 500f))]) } },
            },
        };
        Directory.CreateDirectory(folder["source"]);
        using (var file = File.Create(folder["source", "model.onnx"]))
            Google.Protobuf.MessageExtensions.WriteTo(proto, file);
        return ModelFile.Open(folder["source", "model.onnx"]);

        static Onnx.Protobuf.ValueInfoProto Value(string name, long size)
        {
            var shape = new Onnx.Protobuf.TensorShapeProto { Dim = { new Onnx.Protobuf.TensorShapeProto.Types.Dimension { DimParam = "n" }, new Onnx.Protobuf.TensorShapeProto.Types.Dimension { DimValue = size } } };
            return new() { Name = name, Type = new() { TensorType = new() { ElemType = 1, Shape = shape } } };
        }
    }

    private static SteeringMap Map(IEnumerable<Site> sites, int seed) => new(sites.Select(site =>
    {
        var random = new Random(100 * seed + site.Order);
        ImmutableArray<float> w = [.. Enumerable.Range(0, site.Channels).Select(_ => 0.7f + 0.6f * random.NextSingle())], b = [.. w.Select(_ => 0.4f * (random.NextSingle() - 0.5f))];
        return new SiteTransport(site.Name, Transport.Of(site.Name, w, b));
    }).ToList());
}
