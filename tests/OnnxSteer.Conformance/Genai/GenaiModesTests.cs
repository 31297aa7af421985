using System.Collections.Immutable;
using System.Text.Json.Nodes;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Conformance;

/// <summary>The modes in the runtime that ships with products: each gives our runtime's greedy tokens, and adapters are switched on one loaded model.</summary>
[Collection(nameof(GenaiProcess))]
public sealed class GenaiModesTests
{
    private const int NewTokens = 24;

    /// <summary>Exports, sites, and how far factors and shifts spread: of such that can be folded as well.</summary>
    public static TheoryData<string, string, float, float> Exports => new()
    {
        { "stories260k-h16/genai-fp32", @"model\.layers\.(1|3)", 0, 1.2f }, { "stories260k-h16/genai-int4", ".*o_proj", 0.6f, 1.2f },
        { "stories260k-h16/genai-cuda-fp16", @"model\.layers\.(1|3)", 0, 1.2f }, { "stories260k-h16/genai-cuda-fp16", ".*post_attention_layernorm", 1.2f, 0 },
        { "stories260k/genai-dml-fp16", ".*o_proj", 1.6f, 0 },
    };

    [GenaiTheory, MemberData(nameof(Exports))]
    public void Every_mode_gives_our_tokens(string export, string pattern, float scales, float shifts)
    {
        var model = Running.Tests.Exports.Open(export);
        var (map, other) = (Map(model, pattern, scales, shifts, 3), Map(model, pattern, scales, shifts, 4));
        using var folder = new TemporaryFolder();
        foreach (var mode in new[] { Mode.Baked, Mode.Folded, Mode.Live })
        {
            SteeredFolder.Write(model, Steering.Patch(model, map, new SteeringOptions { Mode = mode, Strength = 0.8f }), folder[$"{mode}"]);
            RunOnCpu(folder[$"{mode}"]);
            using var ours = new Runner(ModelFile.Open(folder[$"{mode}"]));
            using var theirs = new GenaiModel(folder[$"{mode}"]);
            Same(export, ours, theirs, null, null);
        }
        var (_, name) = SteeredFolder.WritePack(model, map, new SteeringOptions { Strength = 0.8f }, folder["pack"]);
        RunOnCpu(folder["pack"]);
        AdapterFile.Write(folder["b.onnx_adapter"], SteeringAdapter.Of(ModelFile.Open(folder["pack"]), other, 0.5f));
        using var packed = new Runner(ModelFile.Open(folder["pack"]));
        using var loaded = new GenaiModel(folder["pack"]);
        loaded.Load(folder["pack", name], "a");
        loaded.Load(folder["b.onnx_adapter"], "b");
        using Adapter a = Adapter.Load(folder["pack", name]), b = Adapter.Load(folder["b.onnx_adapter"]);
        var plain = Same(export, packed, loaded, null, null);
        var first = Same(export, packed, loaded, "a", a);
        var second = Same(export, packed, loaded, "b", b);
        Assert.NotEqual(plain, first);
        Assert.NotEqual(first, second);
        Assert.Equal(plain, Same(export, packed, loaded, null, null));
        model.SaveTo(folder["same"]);
        RunOnCpu(folder["same"]);
        using var unsteered = new GenaiModel(folder["same"]);
        var config = packed.Decoder.Config;
        Assert.Equal(plain, [.. ActGolden.Prompts(export, "test").Select(prompt => unsteered.Generate([prompt], NewTokens, config.EosIds[0], config.PadId)[0])]);
    }

    private static int[][] Same(string export, Runner ours, GenaiModel theirs, string? name, Adapter? adapter)
    {
        var config = ours.Decoder.Config;
        var options = new GenerationOptions { MaxNewTokens = NewTokens, Adapters = adapter is null ? [] : [adapter] };
        return [.. ActGolden.Prompts(export, "test").Select(prompt =>
        {
            var expected = ours.Decoder.Generate([prompt], options)[0].Ids.ToArray();
            Assert.Equal(expected, theirs.Generate([prompt], NewTokens, config.EosIds[0], config.PadId, name)[0]);
            return expected;
        })];
    }

    // Folders for GPUs ask for a provider that is not here; their graphs run without.
    private static void RunOnCpu(string folder)
    {
        var path = Path.Combine(folder, "genai_config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        config["model"]!["decoder"]!["session_options"]!["provider_options"] = new JsonArray();
        File.WriteAllText(path, config.ToJsonString());
    }

    private static SteeringMap Map(Model model, string pattern, float scales, float shifts, int seed)
    {
        var random = new Random(seed);
        ImmutableArray<float> Numbers(Site site, float middle, float spread) => [.. Enumerable.Range(0, site.Channels).Select(_ => middle + spread * (random.NextSingle() - 0.5f))];
        return new SteeringMap(SiteTable.Of(model).Matching(pattern).Select(site =>
            new SiteTransport(site.Name, Transport.Of(site.Name, Numbers(site, 1, scales), Numbers(site, 0, shifts)))).ToList());
    }
}
