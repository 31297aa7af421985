using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// A merged decoder, steered in every mode: the first call runs one branch and the next the other, and both give what the
/// decoder without branches gives.
/// </summary>
public sealed class BranchModeTests
{
    private const float Strength = 0.7f;
    private const string GateSite = "model.layers.1.post_attention_layernorm";

    private static Subject Merged => Subject.Of("stories260k/optimum-merged");

    private static Subject Plain => Subject.Of("stories260k/optimum");

    public static TheoryData<Kind> Kinds => [Kind.Affine, Kind.Bounded, Kind.Shift, Kind.Scale];

    [SharedTheory, MemberData(nameof(Kinds))]
    public void Every_mode_steers_both_branches(Kind kind)
    {
        var folded = 0;
        foreach (var site in Exhaustive.IsOn ? Plain.Table.Sites : Plain.Table.Matching(kind == Kind.Bounded ? @"model\.layers\.3" : @"model\.layers\.2\.(input_layernorm|mlp\.down_proj)"))
        {
            var map = Plain.Map(kind, site);
            var expected = Calls(Exports.Patch(Plain.Model, map, Mode.Baked, Strength));
            foreach (var mode in EveryMode.Of(Merged.Model, map, Strength))
            {
                EveryMode.Same($"{site.Name}, {mode.Name}", expected, Calls(mode));
                Assert.Equal(Merged.Model.Source.ToArray(), PatchRecord.Undo(mode.Model).Source.ToArray());
                // What is steered is found again, in both branches.
                Assert.Equal(Places(Merged.Model), Places(mode.Model));
                folded += mode.Name == "folded" ? 1 : 0;
            }
            Assert.All(expected.Zip(Calls(Plain.Model)), pair => Assert.False(Bits.Same(pair.First["logits"], pair.Second["logits"]), $"{site.Name}: nothing changed"));
        }
        Assert.True(folded > 0 || kind != Kind.Scale, $"no map of kind {kind} was folded");
    }

    [SharedTheory]
    [InlineData(Positions.All)]
    [InlineData(Positions.Last)]
    public void A_gate_decides_in_the_branch_that_runs(Positions positions)
    {
        var gate = Plain.Table.Find(GateSite);
        var direction = DirectionOf(gate);
        // Between the projections of the second call's three tokens, so that some are steered there too; others are in the first.
        var projections = Enumerable.Range(0, 3).Select(row => direction.Unit.Select((unit, channel) => (double)unit * Plain.Values[GateSite][(row * 12 + 9) * gate.Channels + channel]).Sum()).Order().ToArray();
        var threshold = (float)((projections[0] + projections[1]) / 2);
        foreach (var name in new[] { GateSite, "model.layers.3" })
            foreach (var pooling in positions == Positions.All ? new Pooling?[] { null, Pooling.Mean } : [null])
            {
                var map = Plain.Map(Kind.Affine, Plain.Table.Find(name));
                var options = new SteeringOptions { Strength = Strength, Positions = positions, Gate = new Gate(direction, threshold, pooling) };
                var expected = Calls(Plain.Model.Apply(Steering.Patch(Plain.Model, map, options)));
                foreach (var mode in EveryMode.Of(Merged.Model, map, Strength, options))
                    EveryMode.Same($"{name}, {pooling?.Name() ?? "token"}, {mode.Name}", expected, Calls(mode));
                var (never, always) = (Calls(Plain.Model), Calls(Exports.Patch(Plain.Model, map, Mode.Baked, Strength)));
                foreach (var call in Enumerable.Range(0, 2).Where(_ => pooling is null && positions == Positions.All))
                    Assert.False(Bits.Same(expected[call]["logits"], never[call]["logits"]) || Bits.Same(expected[call]["logits"], always[call]["logits"]), $"{name}: the gate decides nothing in call {call + 1}");
            }
    }

    [SharedTheory]
    [InlineData(Positions.Prompt)]
    [InlineData(Positions.Generated)]
    [InlineData(Positions.Last)]
    public void Positions_hold_in_both_branches(Positions positions)
    {
        var map = Plain.Map(Kind.Bounded, Plain.Table.Matching(@"model\.layers\.(1\.mlp\.down_proj|2|3\.self_attn\.q_proj)"));
        var expected = Calls(Exports.Patch(Plain.Model, map, Mode.Baked, Strength, positions));
        foreach (var mode in EveryMode.Of(Merged.Model, map, Strength, new SteeringOptions { Positions = positions }))
            EveryMode.Same(mode.Name, expected, Calls(mode));
    }

    [SharedFact]
    public void Monitors_show_what_the_branch_holds_that_runs()
    {
        foreach (var name in new[] { "model.embed_tokens", "model.layers.2", "lm_head" })
        {
            var direction = DirectionOf(Plain.Table.Find(name));
            Model Monitored(Model model) => Enum.GetValues<Pooling>().Aggregate(model.Apply(new Monitor("token", direction, null).Patch(model)),
                (monitored, pooling) => monitored.Apply(new Monitor(pooling.Name(), direction, pooling).Patch(monitored)));
            string[] outputs = ["logits", "onnxsteer.monitor.token", .. Enum.GetValues<Pooling>().Select(pooling => $"onnxsteer.monitor.{pooling.Name()}")];
            var monitored = Monitored(Merged.Model);
            var actual = new ModeCase("", monitored).Calls(Plain, outputs);
            EveryMode.Same(name, new ModeCase("", Monitored(Plain.Model)).Calls(Plain, outputs), actual);
            Assert.Equal([27, 3], actual.Select(call => call["onnxsteer.monitor.token"].Length));
            // A steered branch is seen as it became.
            var map = Plain.Map(Kind.Affine, Plain.Table.Find(name));
            EveryMode.Same($"{name} steered", new ModeCase("", Exports.Patch(Monitored(Plain.Model), map, Mode.Baked, Strength)).Calls(Plain, outputs), new ModeCase("", Exports.Patch(monitored, map, Mode.Live, Strength)).Calls(Plain, outputs));
            Assert.Equal(Merged.Model.Source.ToArray(), Enumerable.Range(0, 5).Aggregate(monitored, (model, _) => PatchRecord.Undo(model)).Source.ToArray());
        }
    }

    private static IEnumerable<(string, string)> Places(Model model) => SiteTable.Of(model).Sites.SelectMany(site => site.Places, (site, place) => (site.Name, $"{place.At} {place.Hook}"));

    private static Dictionary<string, float[]>[] Calls(Model model) => Calls(new ModeCase("", model));

    private static Dictionary<string, float[]>[] Calls(ModeCase mode) => mode.Calls(Plain, "logits");

    private static Direction DirectionOf(Site site)
    {
        var random = new Random(site.Order);
        return Direction.Of(site.Name, [.. Enumerable.Range(0, site.Channels).Select(_ => random.NextSingle() - 0.5f)]);
    }
}
