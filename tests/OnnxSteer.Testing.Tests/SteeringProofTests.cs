using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Testing.Tests;

/// <summary>The proof on the small models: it holds of sound graphs, and fails where something is wrong.</summary>
public sealed class SteeringProofTests
{
    private static readonly ImmutableArray<int>[] Rows = [[1, 403, 407, 261], [1, 316, 25, 290, 440, 9, 11], [1]];

    [Theory]
    [InlineData("stories260k/optimum")]
    [InlineData("stories260k-h16/genai-fp32")]
    public void It_holds_of_a_steered_graph(string name)
    {
        var model = Open(name);
        // A part of a packed projection, a projection, the sum within a fused norm, and bounds.
        string[] sites = ["model.layers.1.self_attn.k_proj", "model.layers.1.self_attn.o_proj", "model.layers.2", "model.norm"];
        var verdicts = SteeringProof.Check(model, Map(model, sites), Rows);
        Assert.Equal(2 + sites.Length, verdicts.Length);
        Assert.All(verdicts, verdict => Assert.True(verdict.Holds, verdict.ToString()));
        Assert.DoesNotContain("no site lies before", verdicts[1].Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_lies_before_the_first_site()
    {
        var model = Open("stories260k-h16/genai-fp32");
        var verdict = SteeringProof.Check(model, Map(model, [SiteTable.Of(model).Sites[0].Name]), Rows)[1];
        Assert.True(verdict.Holds);
        Assert.Contains("no site lies before", verdict.Detail, StringComparison.Ordinal);
    }

    // Noise that another graph draws otherwise: what does not read it holds still, and all else fails.
    [Fact]
    public void It_fails_where_values_differ()
    {
        var model = Open("stories260k/optimum");
        var noisy = Noisy(model, "model.layers.1.mlp");
        var map = Map(model, ["model.layers.2.self_attn.o_proj"]);
        Assert.Equal([false, false, false], SteeringProof.Check(noisy, map, Rows).Select(verdict => verdict.Holds));
        var late = Noisy(model, "model.norm");
        var verdicts = SteeringProof.Check(late, map, Rows);
        Assert.Equal([false, true, true], verdicts.Select(verdict => verdict.Holds));
        Assert.Contains("1 of 11 tensors differ, 'logits' first", verdicts[0].Detail, StringComparison.Ordinal);
    }

    private static Model Open(string name) => ModelFile.Open(Path.Combine(Folders.Models, name));

    private static SteeringMap Map(Model model, string[] sites)
    {
        var random = new Random(7);
        var table = SiteTable.Of(model);
        return new SteeringMap(sites.Select((name, i) =>
        {
            var channels = table.Find(name).Channels;
            ImmutableArray<float> Draw(double from, double to) => [.. Enumerable.Range(0, channels).Select(_ => (float)(from + (to - from) * random.NextDouble()))];
            var (w, b) = (Draw(0.5, 1.5), Draw(-1, 1));
            return new SiteTransport(name, i == sites.Length - 1 ? Transport.Of(name, w, b, Draw(-2, 0), Draw(0, 2)) : Transport.Of(name, w, b));
        }));
    }

    private static Model Noisy(Model model, string site)
    {
        var place = SiteTable.Of(model).Find(site).Places[0].At;
        return model.Apply(GraphPatch.Empty.Intercept(model, place, "noise", (before, after) =>
        [
            new NodeProto { Name = "noise", OpType = "RandomNormalLike", Input = { before }, Output = { "noise" } },
            new NodeProto { Name = "noisy", OpType = "Add", Input = { before, "noise" }, Output = { after } },
        ]));
    }
}
