using OnnxSteer.Fixtures;

namespace OnnxSteer.Conformance;

/// <summary>The reference's own state, imported and baked: its logits, for every method and band that it has at once.</summary>
public sealed class ImportTests
{
    private const string Export = "stories260k/genai-fp32";

    public static TheoryData<string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string> { { "aura", "q_all" } };
            foreach (var method in new[] { "linear_ot", "mean_ot", "gaussian_ot" })
                foreach (var band in new[] { "q_0_100", "q_5_95", "q_all" })
                    data.Add(method, band);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Steered_logits_are_those_of_the_reference(string method, string band)
    {
        var model = Exports.Open(Export);
        var all = MapExchange.Import(Folders.InShared("golden", "act", "fit_atonce.safetensors"), model, new ImportOptions { Method = method, Band = method == "aura" ? null : band });
        using var logits = ActGolden.Open("logits");
        var prompts = ActGolden.Prompts(Export, "test");
        var compared = 0;
        foreach (var set in new[] { "postln", "oproj" })
        {
            var sites = ActGolden.SitesOf(set).ToHashSet();
            var map = new SteeringMap(all.Sites.Where(entry => sites.Contains(entry.Site)), all.Provenance);
            foreach (var strength in new[] { "0.5", "1" })
            {
                var key = $"{set}/atonce/{method}/{band}/s{strength}/last";
                if (!logits.Contains(key))
                    continue;
                using var steered = new Runner(Exports.Patch(model, map, Mode.Baked, float.Parse(strength, System.Globalization.CultureInfo.InvariantCulture)));
                Assert.InRange(Exports.Worst(logits.ReadSingles(key), [.. prompts.SelectMany(prompt => steered.Last(prompt))]), 0, 2e-4);
                compared++;
            }
        }
        Assert.True(compared > 0, "the reference has no such logits");
    }
}
