using System.Collections.Immutable;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Pooling over some tokens of each row is pooling by hand over these tokens of the whole values.</summary>
public sealed class ChosenTokenTests
{
    public static TheoryData<string> Fixtures => [.. Exports.Fixtures.Where(export => Exhaustive.IsOn
        || (!export.StartsWith("smollm2", StringComparison.Ordinal) && (export.StartsWith("stories260k", StringComparison.Ordinal) || export.EndsWith("optimum", StringComparison.Ordinal))))];

    [SharedTheory, MemberData(nameof(Fixtures))]
    public void Some_tokens_of_each_row_are_pooled(string export)
    {
        var model = Exports.Open(export);
        var table = SiteTable.Of(model);
        using var golden = Exports.Golden(export);
        var rows = Exports.Rows(golden, "input_ids");
        Site[] sites = [.. table.Sites.Where(site => site.Rank < 4 && (Kinds.Contains(Last(site.Name)) || site.Order == 0))];
        Assert.NotEmpty(sites);
        var values = Exports.Activations(model, sites, rows, null, Runner.OneThread);
        // A part, a single token, and the end of a shorter row.
        (int Start, int End)[] chosen = [(1, 12), (4, 5), (6, 9)];
        var prompts = new TokenizedPrompts([rows[0], rows[1], IsQuantized(export) ? rows[2] : rows[2][..9]], 0) { Chosen = [.. chosen] };
        foreach (var pooling in Enum.GetValues<Pooling>())
        {
            var captured = Capture.Run(model, [.. sites], prompts, new CaptureOptions { Pooling = pooling, Session = Runner.OneThread });
            foreach (var (site, pooled) in sites.Zip(captured))
                for (var row = 0; row < 3; row++)
                {
                    var expected = Pool(values[site.Name].AsSpan(row * 12 * site.Channels, 12 * site.Channels), site.Channels, chosen[row], pooling);
                    var worst = Exports.WorstRow(expected, pooled.Values.Row(row), site.Channels);
                    Assert.True(worst <= ToleranceOf(export), $"{site.Name}, {pooling}, row {row}: {worst}");
                }
        }
    }

    [SharedTheory, MemberData(nameof(Fixtures))]
    public void All_tokens_chosen_are_all_real_ones(string export)
    {
        var model = Exports.Open(export);
        var sites = SiteTable.Of(model).Sites.Where(site => site.Rank < 4 && site.Order % 7 == 0).ToImmutableArray();
        using var golden = Exports.Golden(export);
        var rows = Exports.Rows(golden, "input_ids");
        ImmutableArray<ImmutableArray<int>> ragged = [rows[0], rows[1][..5], rows[2][..1]];
        foreach (var pooling in Enum.GetValues<Pooling>())
        {
            var options = new CaptureOptions { Pooling = pooling, Session = Runner.OneThread };
            var plain = Capture.Run(model, sites, new TokenizedPrompts(ragged, 0), options);
            var chosen = Capture.Run(model, sites, new TokenizedPrompts(ragged, 0) { Chosen = [(0, 12), (0, 5), (0, 1)] }, options);
            foreach (var (a, b) in plain.Zip(chosen))
                Assert.InRange(Exports.WorstRow(a.Values.Values, b.Values.Values, a.Values.Columns), 0, 1e-6);
        }
    }

    private static readonly string[] Kinds = ["o_proj", "down_proj", "fc2", "c_proj", "post_attention_layernorm", "ln_2", "1", "q_norm", "k_proj"];

    private static string Last(string name) => name[(name.LastIndexOf('.') + 1)..];

    // Activations rounded to integers share their scale with what else is in the batch, filling included.
    internal static bool IsQuantized(string export) => export.Contains("int8", StringComparison.Ordinal) || export.Contains("int4", StringComparison.Ordinal);

    private static double ToleranceOf(string export) => IsQuantized(export) ? 0.05 : export.Contains("fp16", StringComparison.Ordinal) ? 5e-3 : 1e-5;

    private static float[] Pool(ReadOnlySpan<float> values, int channels, (int Start, int End) tokens, Pooling pooling)
    {
        var pooled = new float[channels];
        for (var channel = 0; channel < channels; channel++)
        {
            var column = new List<double>();
            for (var token = tokens.Start; token < tokens.End; token++)
                column.Add(values[token * channels + channel]);
            pooled[channel] = (float)(pooling switch { Pooling.Min => column.Min(), Pooling.Max => column.Max(), Pooling.Last => column[^1], _ => column.Average() });
        }
        return pooled;
    }
}
