using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;

namespace OnnxSteer.Conformance;

/// <summary>
/// Steered folders in the runtime that ships with products: its greedy tokens are those of our own runtime on the same
/// folder, one by one, for prompts alone and in a batch with shorter rows filled up on the right.
/// </summary>
[Collection(nameof(GenaiProcess))]
public sealed class GenaiTests
{
    private const int NewTokens = 40;

    private static readonly Dictionary<string, (string Sites, Kind Kind, SteeringOptions Options)> Patches = new()
    {
        ["baked affine"] = (".*post_attention_layernorm", Kind.Affine, new SteeringOptions()),
        ["baked affine within bounds"] = (".*post_attention_layernorm", Kind.Bounded, new SteeringOptions { Strength = 0.7f }),
        ["baked sum inside a fused skip norm"] = (@"model\.layers\.2", Kind.Affine, new SteeringOptions()),
        ["baked sum inside a fused skip norm within bounds"] = (@"model\.layers\.[13]\.residual_mid", Kind.Bounded, new SteeringOptions()),
        ["baked part of a packed projection"] = (@"model\.layers\.[24]\.self_attn\.q_proj", Kind.Affine, new SteeringOptions()),
        ["baked sum that the file leaves out"] = (@"model\.layers\.4", Kind.Affine, new SteeringOptions()),
        ["baked logits"] = ("lm_head", Kind.Affine, new SteeringOptions()),
        ["live by its default"] = (@".*(post_attention_layernorm|layers\.3)", Kind.Bounded, new SteeringOptions { Mode = Mode.Live, Strength = 0.8f }),
        ["live labelled"] = (".*down_proj", Kind.Affine, new SteeringOptions { Mode = Mode.Live, Label = "calm" }),
        ["baked at last tokens"] = (@".*(post_attention_layernorm|layers\.2)", Kind.Affine, new SteeringOptions { Positions = Positions.Last }),
        ["live at last tokens within bounds"] = (".*o_proj", Kind.Bounded, new SteeringOptions { Mode = Mode.Live, Positions = Positions.Last }),
        ["baked in prompts"] = (".*post_attention_layernorm", Kind.Affine, new SteeringOptions { Positions = Positions.Prompt }),
        ["live in generated text"] = (@".*(post_attention_layernorm|layers\.1)", Kind.Affine, new SteeringOptions { Mode = Mode.Live, Positions = Positions.Generated }),
    };

    private static readonly string[] ExportNames = ["stories260k/genai-fp32", "stories260k-h16/genai-fp32"];

    public enum Kind
    {
        Affine,
        Bounded,
    }

    public static TheoryData<string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var export in ExportNames)
                foreach (var name in Patches.Keys)
                    data.Add(export, name);
            return data;
        }
    }

    public static TheoryData<string> All => [.. ExportNames];

    [GenaiTheory, MemberData(nameof(All))]
    public void Unsteered_tokens_are_ours(string export)
    {
        using var folder = new TemporaryFolder();
        Exports.Open(export).SaveTo(folder["same"]);
        Assert.Equal(Compare(export, Exports.FolderOf(export)), Compare(export, folder["same"]));
    }

    [GenaiTheory, MemberData(nameof(Cases))]
    public void Steered_tokens_are_ours(string export, string patch)
    {
        var (sites, kind, options) = Patches[patch];
        var model = Exports.Open(export);
        var steered = model.Apply(Steering.Patch(model, Map(model, sites, kind), options));
        using var folder = new TemporaryFolder();
        steered.SaveTo(folder["steered"]);
        var tokens = Compare(export, folder["steered"]);
        using var unsteered = new Runner(model);
        Assert.NotEqual(Ours(unsteered.Decoder, ActGolden.Prompts(export, "test")), tokens);
    }

    [GenaiTheory, MemberData(nameof(All))]
    public void A_steered_model_steered_and_undone_again_is_ours_too(string export)
    {
        var model = Exports.Open(export);
        var once = model.Apply(Steering.Patch(model, Map(model, @"model\.layers\.2", Kind.Affine), new SteeringOptions { Strength = 0.5f }));
        var twice = once.Apply(Steering.Patch(once, Map(model, @".*(layers\.2|o_proj)", Kind.Bounded), new SteeringOptions { Mode = Mode.Live, Label = "second" }));
        using var folder = new TemporaryFolder();
        twice.SaveTo(folder["twice"]);
        var tokens = Compare(export, folder["twice"]);
        PatchRecord.Undo(ModelFile.Open(folder["twice"])).SaveTo(folder["once"]);
        Assert.NotEqual(tokens, Compare(export, folder["once"]));
    }

    // Greedy tokens of a folder by genai, which must be ours: rows alone, and all in one batch.
    private static int[][] Compare(string export, string folder)
    {
        var prompts = ActGolden.Prompts(export, "test");
        using var ours = new Runner(ModelFile.Open(folder));
        using var theirs = new GenaiModel(folder);
        var config = ours.Decoder.Config;
        var tokens = Ours(ours.Decoder, prompts);
        foreach (var (prompt, expected) in prompts.Zip(tokens))
        {
            Assert.Equal(expected, Ours(ours.Decoder, [prompt])[0]);
            Assert.Equal(expected, theirs.Generate([prompt], NewTokens, config.EosIds[0], config.PadId)[0]);
            Assert.InRange(Exports.Worst(ours.Last(prompt), theirs.Logits(prompt)), 0, 1e-4);
        }
        Assert.Equal(tokens, theirs.Generate(prompts, NewTokens, config.EosIds[0], config.PadId));
        return tokens;
    }

    private static int[][] Ours(Decoder decoder, IReadOnlyList<ImmutableArray<int>> prompts) =>
        [.. decoder.Generate(prompts, new GenerationOptions { MaxNewTokens = NewTokens }).Select(row => row.Ids.ToArray())];

    private static SteeringMap Map(Model model, string pattern, Kind kind)
    {
        var random = new Random(11);
        return new SteeringMap(SiteTable.Of(model).Matching(pattern).Select(site =>
        {
            ImmutableArray<float> w = [.. Enumerable.Range(0, site.Channels).Select(_ => 1 + 0.4f * (random.NextSingle() - 0.5f))];
            ImmutableArray<float> b = [.. w.Select(_ => 0.6f * (random.NextSingle() - 0.5f))];
            return new SiteTransport(site.Name, kind == Kind.Affine ? Transport.Of(site.Name, w, b)
                : Transport.Of(site.Name, w, b, [.. w.Select(_ => -0.5f - random.NextSingle())], [.. w.Select(_ => 0.5f + random.NextSingle())]));
        }).ToList());
    }
}
