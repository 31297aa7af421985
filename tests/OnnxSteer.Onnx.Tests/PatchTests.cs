using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Patches change what they say and nothing else, whatever the encoding, and can be taken back.</summary>
public class PatchTests
{
    [Fact]
    public void Edits_of_generated_models_land_where_an_object_model_puts_them() => Seeds.Each(300, seed =>
    {
        using var model = ModelCase.Generated(seed);
        AssertEditsLand(model, new Random(seed), 12);
    });

    [Fact]
    public void Removed_nodes_are_gone() => Seeds.Each(200, seed =>
    {
        using var model = ModelCase.Generated(seed);
        var random = new Random(seed);
        // Only of main: nodes in the body of a removed node are gone with it.
        var removals = model.Model.Graph.Nodes.Where(_ => random.Chance(0.4)).Select(node => new Remove("remove", Graph.MainPath, Part.Node, node.Index));
        AssertSame(model, GraphPatch.Empty.With(removals), parse: false);
    });

    [SharedTheory]
    [MemberData(nameof(ModelCase.SharedModels), MemberType = typeof(ModelCase))]
    public void Edits_of_exported_models_land_where_an_object_model_puts_them(string path)
    {
        using var model = ModelCase.Shared(path);
        Seeds.Each(3, seed => AssertEditsLand(model, new Random(seed), 40));
    }

    [Fact]
    public void Generated_models_and_their_patched_forms_save_as_they_are() => Seeds.Each(200, seed =>
    {
        using var model = ModelCase.Generated(seed);
        AssertSavesAndUndoes(model, new Random(seed));
    });

    [SharedTheory]
    [MemberData(nameof(ModelCase.SharedModels), MemberType = typeof(ModelCase))]
    public void Exported_models_and_their_patched_forms_save_as_they_are(string path)
    {
        using var model = ModelCase.Shared(path);
        AssertSavesAndUndoes(model, new Random(1));
    }

    [Fact]
    public void Undo_never_gives_anything_but_the_original() => Seeds.Each(60, seed =>
    {
        using var model = ModelCase.Generated(seed);
        var random = new Random(seed);
        var patched = model.Model.Apply(Titled(new PatchGenerator(model.Model, random).Make(6), "p")).Source.ToArray();
        var refused = 0;
        for (var i = 0; i < 40; i++)
        {
            byte[] changed = [.. patched];
            changed[random.Next(changed.Length)] ^= (byte)(1 << random.Next(8));
            try
            {
                Assert.Equal(model.Bytes, PatchRecord.Undo(Model.Parse(changed, model.Model.Folder)).Source.ToArray());
            }
            catch (OnnxException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 1, 40);
    });

    [Fact]
    public void Undo_refuses_a_model_that_was_changed_elsewhere() => Seeds.Each(30, seed =>
    {
        using var model = ModelCase.Generated(seed);
        var patched = model.Model.Apply(Titled(GraphPatch.Empty, "p")).Source.ToArray();
        // The original's bytes come first, the record behind them.
        Assert.Equal(model.Bytes, patched[..model.Bytes.Length]);
        var rewritten = ModelProto.Parser.ParseFrom(patched);
        rewritten.ProducerName = "other";
        var other = Model.Parse(WireEncoder.Encode(rewritten, new Random(seed), new Oddity(IsPlain: true, HasStrangers: false, HasDefaults: false)), model.Model.Folder);
        Assert.Single(PatchRecord.All(other));
        Assert.Contains("changed since", Assert.Throws<OnnxException>(() => PatchRecord.Undo(other)).Message, StringComparison.Ordinal);
    });

    [Fact]
    public void A_model_without_patches_has_nothing_to_undo()
    {
        using var model = ModelCase.Generated(1);
        Assert.Contains("no patch to remove", Assert.Throws<OnnxException>(() => PatchRecord.Undo(model.Model)).Message, StringComparison.Ordinal);
    }

    internal static GraphPatch Titled(GraphPatch patch, string label) =>
        patch with { Title = new PatchTitle(label, ImmutableSortedDictionary<string, string>.Empty.Add("strength", "0.7")) };

    private static void AssertEditsLand(ModelCase model, Random random, int count)
    {
        var patch = new PatchGenerator(model.Model, random).Make(count);
        AssertSame(model, patch, parse: true);
    }

    private static void AssertSame(ModelCase model, GraphPatch patch, bool parse)
    {
        var before = model.Model.Source.ToArray();
        var patched = model.Model.Apply(patch);
        var expected = OraclePatch.Apply(model.Oracle, [.. model.Model.Graphs.Select(graph => graph.Path)], patch.Edits);
        var actual = ModelProto.Parser.ParseFrom(patched.Source.ToArray());
        Assert.True(expected.Equals(actual), $"After {patch}");
        Assert.Equal(before, model.Model.Source.ToArray());
        if (parse)
            Assert.Equal(OracleGraph.All(actual).SelectMany(graph => graph.Nodes).Select(node => node.OpType), patched.Graphs.SelectMany(graph => graph.Nodes).Select(node => node.OpType));
    }

    private static void AssertSavesAndUndoes(ModelCase model, Random random)
    {
        AssertBytes(model.Bytes, model.Model);
        List<Model> stack = [model.Model];
        for (var i = 0; i < 3; i++)
        {
            stack.Add(stack[^1].Apply(Titled(new PatchGenerator(stack[^1], new Random(random.Next())).Make(5), $"patch {i}")));
            Assert.Equal(i + 1, PatchRecord.Count(stack[^1]));
            Assert.Equal($"patch {i}", PatchRecord.All(stack[^1])[^1].Label);
            Assert.Equal("0.7", PatchRecord.All(stack[^1])[^1].Properties["strength"]);
        }
        // From the bytes alone, as a file would be read again.
        var top = Model.Parse(stack[^1].Source.ToArray(), model.Model.Folder);
        for (var i = 2; i >= 0; i--)
        {
            top = PatchRecord.Undo(top);
            AssertBytes(stack[i].Source.ToArray(), top);
        }
    }

    private static void AssertBytes(byte[] expected, Model model)
    {
        using var saved = new MemoryStream();
        model.Source.CopyTo(saved);
        Assert.True(expected.AsSpan().SequenceEqual(saved.ToArray()));
        Assert.True(expected.AsSpan().SequenceEqual(model.Source.ToArray()));
    }
}
