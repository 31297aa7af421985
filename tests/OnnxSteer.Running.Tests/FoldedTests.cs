using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Running.Tests;

/// <summary>Folded maps: the logits of baked ones, without a node; or a refusal that says why.</summary>
public sealed class FoldedTests
{
    private static readonly ImmutableArray<int>[] Rows = [[1, 5, 9, 23, 40, 77, 12, 3], [2, 300, 17, 8, 100, 61, 30, 4]];

    /// <summary>Exports, and how far logits of folded and baked graphs may lie apart, relative to the largest.</summary>
    public static TheoryData<string, double> All => Exhaustive.IsOn ? new()
    {
        { "stories260k/optimum", 1e-5 }, { "stories260k/genai-fp32", 1e-5 }, { "stories260k/dynamo", 1e-5 }, { "stories260k/ort-extended", 1e-5 }, { "stories260k/ort-optimized", 1e-5 },
        { "stories260k/genai-dml-fp16", 2e-2 }, { "tiny/phi3-genai-int4", 1e-5 }, { "tiny/qwen2-genai-int4", 1e-5 }, { "stories260k-h16/genai-int4", 1e-5 }, { "stories260k/dynamic-int8", 1e-5 }, { "stories260k/qdq-int8", 1e-5 }, { "stories260k/optimum-merged", 1e-5 },
        { "stories260k-h16/genai-fp32", 1e-5 }, { "stories260k-h16/genai-cuda-fp16", 2e-2 }, { "stories260k-h16/genai-int4-floatzp", 1e-5 },
        { "tiny/gemma2-optimum-eager", 1e-5 }, { "tiny/gemma3-genai-fp32", 1e-5 }, { "tiny/gemma3-optimum", 1e-5 }, { "tiny/gpt2-dynamo", 1e-5 }, { "tiny/gpt2-optimum", 1e-5 },
        { "tiny/mistral-optimum", 1e-5 }, { "tiny/opt-optimum", 1e-5 }, { "tiny/phi3-optimum", 1e-5 }, { "tiny/qwen2-genai-fp32", 1e-5 }, { "tiny/qwen2-optimum", 1e-5 },
        { "tiny/qwen3-genai-fp32", 1e-5 }, { "tiny/qwen3-optimum", 1e-5 },
    } : new()
    {
        { "stories260k/optimum", 1e-5 }, { "stories260k-h16/genai-fp32", 1e-5 }, { "stories260k-h16/genai-cuda-fp16", 2e-2 }, { "stories260k-h16/genai-int4-floatzp", 1e-5 },
        { "tiny/gpt2-optimum", 1e-5 }, { "tiny/opt-optimum", 1e-5 }, { "tiny/qwen2-genai-fp32", 1e-5 },
    };

    [SharedTheory, MemberData(nameof(All))]
    public void Folded_is_baked_without_a_node(string export, double tolerance)
    {
        var model = Exports.Exact(export, evenIfMeasuredAsShipped: true);
        var (folded, refused) = (0, new SortedDictionary<string, int>());
        foreach (var (index, site) in SiteTable.Of(model).Sites.Index())
            foreach (var kind in new[] { Kind.Affine, Kind.Scale, Kind.Shift })
            {
                if (!Exhaustive.IsOn && index % 6 != (int)kind)
                    continue;
                var map = Map(site, kind);
                if (TryFold(model, map, out var patch) is { } why)
                {
                    refused[$"{kind} {site.Name}: {why}"] = 1;
                    continue;
                }
                folded++;
                var steered = model.Apply(patch);
                Assert.Equal(model.Graphs.Sum(graph => graph.Nodes.Length), steered.Graphs.Sum(graph => graph.Nodes.Length));
                Assert.Equal(model.Source.ToArray(), PatchRecord.Undo(steered).Source.ToArray());
                var baked = Exports.Patch(model, map, Mode.Baked, 0.7f);
                var (expected, actual) = (Logits(baked), Logits(steered));
                var scale = Math.Max(1, Bits.Largest(expected));
                Assert.True(Exports.Worst(expected, actual) <= tolerance * scale, $"{site.Name}, {kind}: {Exports.Worst(expected, actual)}");
                Assert.False(Bits.Same(Logits(model), actual) && site.Order < 3, $"{site.Name}, {kind}: nothing changed");
            }
        Assert.True(folded > 0);
    }

    [SharedFact]
    public void A_shift_of_a_product_without_bias_goes_into_the_norm_that_adds_it_and_the_site_still_reads_as_the_transport()
    {
        var model = Exports.Open("stories260k-h16/genai-fp32");
        var sites = SiteTable.Of(model).Matching(@".*\.(o_proj|down_proj)");
        var map = new SteeringMap(sites.SelectMany(site => Map(site, Kind.Affine).Sites));
        var folded = model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = Mode.Folded, Strength = 0.7f }));
        var baked = Exports.Patch(model, map, Mode.Baked, 0.7f);
        Assert.Equal(model.Graph.Nodes.Length, folded.Graph.Nodes.Length);
        Assert.InRange(Exports.Worst(Logits(baked), Logits(folded)), 0, 1e-4);
        var rows = Rows.Select(row => row.Select(id => id % 256).ToImmutableArray()).ToArray();
        var names = sites.Select(site => site.Name).ToList();
        var (expected, actual) = (Exports.Activations(baked, names.Select(SiteTable.Of(baked).Find), rows), Exports.Activations(folded, names.Select(SiteTable.Of(folded).Find), rows));
        Assert.All(names, name => Assert.InRange(Exports.WorstRow(expected[name], actual[name], 64), 0, 1e-4));
        Assert.Equal(model.Source.ToArray(), PatchRecord.Undo(folded).Source.ToArray());
    }

    private static string? TryFold(Model model, SteeringMap map, out GraphPatch patch)
    {
        patch = GraphPatch.Empty;
        try
        {
            patch = Steering.Patch(model, map, new SteeringOptions { Mode = Mode.Folded, Strength = 0.7f });
            return null;
        }
        catch (OnnxException e)
        {
            Assert.Contains("cannot be folded exactly", e.Message, StringComparison.Ordinal);
            return e.Message[(e.Message.IndexOf("exactly:", StringComparison.Ordinal) + 9)..];
        }
    }

    private static float[] Logits(Model model)
    {
        using var runner = new Runner(model);
        return runner.Logits([.. Rows.Select(row => row.Select(id => id % 256).ToImmutableArray())]);
    }

    private static SteeringMap Map(Site site, Kind kind)
    {
        var random = new Random(site.Order);
        return new SteeringMap([new SiteTransport(site.Name, Transport.Of(site.Name,
            [.. Enumerable.Range(0, site.Channels).Select(_ => kind == Kind.Shift ? 1 : 0.6f + 0.8f * random.NextSingle())],
            [.. Enumerable.Range(0, site.Channels).Select(_ => kind == Kind.Scale ? 0 : 0.6f * (random.NextSingle() - 0.5f))]))]);
    }
}
