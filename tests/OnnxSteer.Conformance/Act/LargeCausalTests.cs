using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Running;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Conformance;

/// <summary>Causal fits of all 30 attention outputs of SmolLM2-135M against those of the reference's formulas in PyTorch, on the weights of the int4 export.</summary>
public sealed class LargeCausalTests
{
    private const string Export = "smollm2-135m/genai-int4";

    private static readonly string[] Named = ["giraffe/linear_q_all_causal", "giraffe/mean_q_all_causal"];

    public static TheoryData<string> Maps =>
        [.. Exhaustive.IsOn ? Named.Concat(["football/linear_q_all_causal", "football/mean_q_all_causal", "toxicity/linear_q_0_100_causal", "toxicity/mean_q_0_100_causal", "toxicity/linear_q_all_causal", "toxicity/mean_q_all_causal"]) : Named[..1]];

    [SharedTheory, MemberData(nameof(Maps))]
    public void Maps_are_those_of_the_reference(string name)
    {
        var model = Exports.Exact(Export, evenIfMeasuredAsShipped: true);
        var sites = SiteTable.Of(model).Matching(@".*\.o_proj");
        var (texts, band) = (name.Split('/')[0], name.Contains("q_all", StringComparison.Ordinal) ? Band.QAll : Band.Q0To100);
        var fit = CausalFit.Run(model, sites, name.Contains("linear", StringComparison.Ordinal) ? new LinearFit() : new MeanFit(), band, Texts($"{texts}_source"), Texts($"{texts}_target"));
        using var golden = SafetensorsFile.Open(Folders.InShared("golden", "smollm2", "steering", "maps.safetensors"));
        var (w, b) = (golden.ReadMatrix($"{name}/w"), golden.ReadMatrix($"{name}/b"));
        // Rounding grows along the chain; a value that crosses a bound moves all later sites.
        var tolerance = band.IsUnbounded ? 1e-3 : 1e-2;
        foreach (var (layer, site) in sites.Index())
        {
            var transport = fit.Map[site.Name];
            Assert.InRange(Exports.Worst(w.Row(layer), [.. transport.W]) / Largest(w.Row(layer)), 0, tolerance);
            Assert.InRange(Exports.Worst(b.Row(layer), [.. transport.B]) / Largest(b.Row(layer)), 0, tolerance);
        }
    }

    private static double Largest(ReadOnlySpan<float> values) => values.ToArray().Max(Math.Abs);

    // The texts' rows stand in data.json; the first ids of the first text tell a tokenizer's fault from a fit's.
    private static TokenizedPrompts Texts(string set)
    {
        using var data = JsonDocument.Parse(File.ReadAllBytes(Folders.InShared("golden", "smollm2", "steering", "data.json")));
        var entry = data.RootElement.GetProperty(set);
        var all = All(entry.GetProperty("file").GetString()!, entry.GetProperty("what").GetString()!);
        var tokenizer = Tokenizer.Load(Exports.FolderOf(Export));
        var limit = entry.GetProperty("max_tokens").GetInt32();
        var rows = entry.GetProperty("rows").EnumerateArray().Select(row => tokenizer.Encode(all[row.GetInt32()].Trim(), addSpecialTokens: false).Ids).Select(ids => ids.Length > limit ? ids[..limit] : ids).ToImmutableArray();
        Assert.Equal(entry.GetProperty("example_ids").EnumerateArray().Select(id => id.GetInt32()), rows[0].Take(12));
        return new TokenizedPrompts(rows, 0);
    }

    private static List<string> All(string file, string what)
    {
        var path = Folders.InShared([.. file.Split('/')]);
        if (path.EndsWith(".csv", StringComparison.Ordinal))
            return [.. PromptFile.Read(path).Select(prompt => prompt.Text!)];
        using var json = JsonDocument.Parse(File.ReadAllBytes(path));
        var list = what.Split('.').Aggregate(json.RootElement, (element, key) => element.GetProperty(key));
        return [.. list.EnumerateArray().Select(text => text.GetString()!)];
    }
}
