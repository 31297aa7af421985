using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>The first real token of each sequence stays as it is; every other is steered as without skipping.</summary>
public sealed class SkipFirstTests
{
    private const float Strength = 0.7f;

    public static TheoryData<string> Fixtures => ChosenTokenTests.Fixtures;

    public static TheoryData<string, Positions> Cases
    {
        get
        {
            var data = new TheoryData<string, Positions>();
            foreach (var export in new[] { "stories260k-h16/genai-fp32", "stories260k/optimum-merged", "tiny/opt-optimum" })
                foreach (var positions in Enum.GetValues<Positions>())
                    data.Add(export, positions);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Fixtures))]
    public void Only_the_first_real_token_of_each_row_is_left_alone(string export)
    {
        var model = Exports.Open(export);
        var table = SiteTable.Of(model);
        using var golden = Exports.Golden(export);
        var ids = Exports.Rows(golden, "input_ids");
        // Rows share the scale of rounded activations, filling too, so that a row of another length is another row.
        var rows = ChosenTokenTests.IsQuantized(export) ? ids : [ids[0][..5], ids[1], ids[2][..1]];
        // The last one before the head whose rows are tokens, so that nothing steered lies before it.
        foreach (var site in table.Sites.Where(site => site.Rank < 4 && (site.Name.EndsWith("layers.1.mlp", StringComparison.Ordinal) || site.Name.EndsWith("h.1", StringComparison.Ordinal) || site.Name.EndsWith("layers.1", StringComparison.Ordinal) || site.Name.EndsWith("o_proj", StringComparison.Ordinal))).Take(3))
        {
            var map = new SteeringMap([new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(1.25f, site.Channels)], [.. Enumerable.Repeat(0.5f, site.Channels)]))]);
            Dictionary<string, float[]> Values(SteeringOptions? options)
            {
                var patched = options is null ? model : model.Apply(Steering.Patch(model, map, options));
                return Exports.Activations(patched, [SiteTable.Of(patched).Find(site.Name)], rows, null, Runner.OneThread);
            }
            var (plain, all, skipped) = (Values(null)[site.Name], Values(new SteeringOptions())[site.Name], Values(new SteeringOptions { SkipFirst = true })[site.Name]);
            var batch = new TokenBatch(rows, DecoderSignature.Of(model).Padding, 0);
            for (var row = 0; row < rows.Length; row++)
                for (var token = 0; token < rows[row].Length; token++)
                {
                    var at = (row * batch.Columns + batch.First(row) + token) * site.Channels;
                    var expected = token == 0 ? plain : all;
                    Assert.InRange(Exports.WorstRow(expected.AsSpan(at, site.Channels), skipped.AsSpan(at, site.Channels), site.Channels), 0, 1e-6);
                    Assert.False(Bits.Same(plain.AsSpan(at, site.Channels), all.AsSpan(at, site.Channels)), "the map does nothing");
                }
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Every_mode_skips_alike_and_folding_refuses(string export, Positions positions)
    {
        var subject = Subject.Of(export);
        var options = new SteeringOptions { Positions = positions, SkipFirst = true, Strength = Strength };
        var map = subject.Map(Kind.Shift, subject.Table.Matching(@".*layers\.[01]\.(self_attn\.(o|out)_proj|mlp|fc2)"));
        var expected = new ModeCase("", subject.Model.Apply(Steering.Patch(subject.Model, map, options))).Calls(subject, "logits");
        var modes = new List<string>();
        foreach (var mode in EveryMode.Of(subject.Model, map, Strength, options))
        {
            EveryMode.Same(mode.Name, expected, mode.Calls(subject, "logits"));
            modes.Add(mode.Name);
        }
        Assert.Equal(["baked", "live", "bank", "pack"], modes);
        Assert.Contains("cannot be", Assert.Throws<OnnxException>(() => Steering.Patch(subject.Model, map, options with { Mode = Mode.Folded })).Message, StringComparison.Ordinal);
        // Later calls have no first token: what they add to the past's difference is what positions alone ask for.
        var plain = new ModeCase("", subject.Model).Calls(subject, "logits");
        Assert.Equal(positions != Positions.Generated, !Bits.Same(plain[0]["logits"], expected[0]["logits"]));
        Assert.False(Bits.Same(plain[1]["logits"], expected[1]["logits"]));
    }
}
