using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Control vectors baked into a graph: the block of that number moves by the vector, and nothing before it.</summary>
public sealed class ControlVectorTests : IDisposable
{
    private const string Export = "stories260k/genai-fp32";
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [SharedTheory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    [InlineData(3, false)]
    [InlineData(4, true)]
    public void Block_N_moves_by_the_vector(int layer, bool isOurs)
    {
        var subject = Subject.Of(Export);
        var random = new Random(layer);
        ImmutableArray<float> vector = [.. Enumerable.Range(0, 64).Select(_ => random.NextSingle() - 0.5f)];
        if (isOurs)
            MapExchange.Export(folder["vector.gguf"], new SteeringMap([new($"model.layers.{layer}", Transport.Of("s", [.. vector.Select(_ => 1f)], vector))]), subject.Model, ExchangeFormat.Gguf);
        else
            File.WriteAllBytes(folder["vector.gguf"], new GgufBytes().Of((layer, vector)));
        var map = MapExchange.Import(folder["vector.gguf"], subject.Model, new ImportOptions { Coefficient = 2 });
        var steered = Exports.Patch(subject.Model, map, Mode.Baked, 1);
        var blocks = Enumerable.Range(0, 5).Select(block => $"model.layers.{block}").ToList();
        var after = Exports.Activations(steered, blocks.Select(SiteTable.Of(steered).Find), subject.Rows);
        for (var block = 0; block < layer; block++)
            Assert.True(Bits.Same(subject.Values[blocks[block]], after[blocks[block]]), blocks[block]);
        float[] moved = [.. subject.Values[blocks[layer]].Select((value, i) => value + (2 * vector[i % 64]))];
        // Inside a fused skip norm the vector is added before the sum, which is rounded once more.
        Assert.InRange(Exports.WorstRow(moved, after[blocks[layer]], 64), 0, 1e-6);
        Assert.True(Exports.Worst(Exports.Logits(subject.Model, subject.Rows), Exports.Logits(steered, subject.Rows)) > 0.01);
    }

    /// <summary>The golden adds a vector to a block's output by a PyTorch hook on <c>model.layers[N]</c>, as repeng does.</summary>
    [SharedTheory, MemberData(nameof(Exports.All), MemberType = typeof(Exports))]
    public void Logits_are_those_of_a_hook_on_block_N(string export)
    {
        using var golden = Exports.Steered(export);
        var site = JsonSerializer.Deserialize<string[]>(golden.Metadata["case_c/sites"])!.Single();
        var layer = int.Parse(site[(site.LastIndexOf('.') + 1)..], CultureInfo.InvariantCulture);
        File.WriteAllBytes(folder["vector.gguf"], new GgufBytes().Of((layer, [.. golden.ReadSingles($"case_c/v/{site}")])));
        var model = Exports.Open(export);
        var coefficient = float.Parse(golden.Metadata["case_c/coefficient"], CultureInfo.InvariantCulture);
        var map = MapExchange.Import(folder["vector.gguf"], model, new ImportOptions { Coefficient = coefficient });
        var expected = golden.ReadSingles("case_c/logits");
        Assert.InRange(Exports.WorstRow(expected, Exports.Logits(Exports.Patch(model, map, Mode.Baked, 1), Exports.Rows(golden, "input_ids")), 512), 0, 1e-4);
        Assert.True(Exports.Worst(expected, golden.ReadSingles("logits")) > 0.01, "the case changes nothing");
    }

    /// <summary>Blocks are found by their number in every architecture, whatever its path is called.</summary>
    [SharedTheory]
    [InlineData("tiny/gpt2-optimum", "transformer.h.1")]
    [InlineData("tiny/opt-optimum", "model.decoder.layers.1")]
    [InlineData("tiny/gemma3-genai-fp32", "model.layers.1")]
    [InlineData("tiny/phi3-genai-int4", "model.layers.1")]
    [InlineData("stories260k/optimum-merged", "model.layers.1")]
    [InlineData("stories260k/ort-optimized", "model.layers.1")]
    public void Blocks_are_found_in_every_architecture(string export, string site)
    {
        var model = Exports.Open(export);
        var block = SiteTable.Of(model).Find(site);
        File.WriteAllBytes(folder["vector.gguf"], new GgufBytes().Of((1, [.. Enumerable.Repeat(0.5f, block.Channels)])));
        var map = MapExchange.Import(folder["vector.gguf"], model);
        Assert.Equal(block.Order, SiteTable.Of(model).Find(Assert.Single(map.Sites).Site).Order);
        Assert.NotEmpty(Steering.Patch(model, map).Edits);
    }
}
