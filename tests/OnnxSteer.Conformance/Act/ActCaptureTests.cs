using OnnxSteer.Fixtures;
using OnnxSteer.Running;

namespace OnnxSteer.Conformance;

/// <summary>Tokens and activations of the reference's prompts, by our own tokenizer, exports and pooling.</summary>
public sealed class ActCaptureTests
{
    public static TheoryData<string> All => Exports.All;

    public static TheoryData<string, Pooling, string> Captures
    {
        get
        {
            var data = new TheoryData<string, Pooling, string>();
            foreach (var export in Exports.Names)
                foreach (var pooling in Enum.GetValues<Pooling>())
                    foreach (var set in new[] { "source", "target" })
                        data.Add(export, pooling, set);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Token_ids_are_those_of_the_reference(string export)
    {
        using var golden = ActGolden.Open("tokens");
        foreach (var set in new[] { "source", "target", "test" })
        {
            var ids = Exports.Rows(golden, $"{set}/input_ids");
            var mask = Exports.Rows(golden, $"{set}/attention_mask");
            var expected = ids.Zip(mask, (row, real) => row.Where((_, i) => real[i] == 1).ToArray());
            Assert.Equal(expected, ActGolden.Prompts(export, set).Select(row => row.ToArray()));
        }
    }

    [SharedTheory, MemberData(nameof(Captures))]
    public void Pooled_activations_are_those_of_the_reference(string export, Pooling pooling, string set)
    {
        using var golden = ActGolden.Open("pooled");
        var captured = ActGolden.Captured(export, pooling, set);
        Assert.Equal(15, captured.Sites.Length);
        foreach (var (site, values) in captured.Sites)
        {
            var expected = golden.ReadMatrix($"{site}/{pooling.ToString().ToLowerInvariant()}/{set}");
            Assert.Equal(expected.ToString(), values.ToString());
            for (var row = 0; row < expected.Rows; row++)
                for (var channel = 0; channel < expected.Columns; channel++)
                    Assert.True(Math.Abs(expected[row, channel] - values[row, channel]) <= 1e-5 + 1e-4 * Math.Abs(expected[row, channel]),
                        $"{site}, prompt {row}, channel {channel}: {values[row, channel]:R}, expected {expected[row, channel]:R}");
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void The_size_of_batches_changes_pooled_activations_by_rounding_only(string export)
    {
        var model = Exports.Open(export);
        var sites = SiteTable.Of(model).Matching(".*(o_proj|down_proj)");
        var prompts = ActGolden.Prompts(export, "source");
        var whole = Capture.Run(model, sites, prompts, new CaptureOptions { BatchSize = 32, Session = Runner.OneThread });
        var parts = Capture.Run(model, sites, prompts, new CaptureOptions { BatchSize = 5, Session = Runner.OneThread });
        foreach (var (a, b) in whole.Zip(parts))
            Assert.InRange(Exports.WorstRow(a.Values.Values, b.Values.Values, a.Values.Columns), 0, 1e-5);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Activations_of_every_token_are_those_of_the_reference(string export)
    {
        using var golden = ActGolden.Open("tokenwise");
        var model = Exports.Open(export);
        var table = SiteTable.Of(model);
        var prompt = ActGolden.Prompts(export, "source")[0];
        var values = Exports.Activations(model, ActGolden.Sites.Select(table.Find), [prompt]);
        foreach (var site in ActGolden.Sites)
        {
            var worst = Exports.WorstRow(golden.ReadSingles(site), values[site], 64);
            Assert.True(worst <= 1e-5, $"{site}: {worst}");
        }
        Assert.InRange(Exports.Worst(golden.ReadSingles("logits"), Exports.Logits(model, [prompt])), 0, 1e-4);
    }
}
