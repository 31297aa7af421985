using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Modes together with bounds, positions and gates: right in all that insert nodes, refused where weights would have to know tokens.</summary>
public sealed class CombinationTests
{
    private const float Strength = 0.7f;

    public static TheoryData<string, Positions, bool> Cases
    {
        get
        {
            var data = new TheoryData<string, Positions, bool>();
            foreach (var export in new[] { "stories260k-h16/genai-fp32", "tiny/opt-optimum" })
                foreach (var positions in Enum.GetValues<Positions>())
                    foreach (var isGated in new[] { false, true })
                        data.Add(export, positions, isGated);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Every_mode_does_what_baked_does(string export, Positions positions, bool isGated)
    {
        var subject = Subject.Of(export);
        var options = Options(subject, positions, isGated);
        foreach (var kind in positions == Positions.All ? new[] { Kind.Affine, Kind.Bounded } : [Kind.Bounded])
        {
            var map = Map(subject, kind);
            var expected = new ModeCase("", subject.Model.Apply(Steering.Patch(subject.Model, map, options))).Calls(subject, "logits");
            var modes = new List<string>();
            foreach (var mode in EveryMode.Of(subject.Model, map, Strength, options))
            {
                EveryMode.Same($"{kind}, {mode.Name}", expected, mode.Calls(subject, "logits"));
                modes.Add(mode.Name);
            }
            Assert.Equal(["baked", "live", "bank", "pack"], modes.Where(mode => mode != "folded"));
            Assert.False(modes.Contains("folded") && (isGated || positions != Positions.All || kind == Kind.Bounded), "folded weights know neither tokens nor bounds");
            if (isGated)
                continue;
            var plain = new ModeCase("", subject.Model).Calls(subject, "logits");
            Assert.Equal(positions != Positions.Generated, !Bits.Same(plain[0]["logits"], expected[0]["logits"]));
            Assert.False(Bits.Same(plain[1]["logits"], expected[1]["logits"]));
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Each_row_of_a_bank_has_its_map_at_the_tokens_asked_for(string export, Positions positions, bool isGated)
    {
        var subject = Subject.Of(export);
        var options = Options(subject, positions, isGated);
        // The second leaves a site out, and only the first has bounds.
        var maps = new[] { Map(subject, Kind.Bounded), new SteeringMap(Map(subject, Kind.Affine).Sites.Skip(1)), Map(subject, Kind.Shift) };
        var bank = new ModeCase("bank", subject.Model.Apply(Steering.Bank(subject.Model, maps, options with { Mode = Mode.Live })),
            new Dictionary<string, float[]> { ["onnxsteer.map"] = [2, 0, 1], ["onnxsteer.strength"] = [0.4f, 1, Strength] }).Calls(subject, "logits");
        foreach (var (row, (map, strength)) in new[] { (2, 0.4f), (0, 1f), (1, Strength) }.Index())
        {
            var alone = new ModeCase("", subject.Model.Apply(Steering.Patch(subject.Model, maps[map], options with { Strength = strength }))).Calls(subject, "logits");
            for (var call = 0; call < 2; call++)
            {
                var width = alone[call]["logits"].Length / 3;
                var expected = alone[call]["logits"].AsSpan(row * width, width);
                Assert.InRange(Exports.Worst(expected, bank[call]["logits"].AsSpan(row * width, width)), 0, 2e-5 * Math.Max(1, Bits.Largest(expected)));
            }
        }
    }

    [SharedTheory]
    [InlineData(Positions.All)]
    [InlineData(Positions.Last)]
    public void A_pack_with_bounds_takes_maps_without(Positions positions)
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        SteeringMap bounded = Map(subject, Kind.Bounded), affine = Map(subject, Kind.Affine);
        var packed = subject.Model.Apply(Steering.Patch(subject.Model, bounded, new SteeringOptions { Mode = Mode.Pack, Positions = positions }));
        using var folder = new TemporaryFolder();
        AdapterFile.Write(folder["a.onnx_adapter"], SteeringAdapter.Of(packed, affine, Strength));
        using var adapter = Ort.Adapter.Load(folder["a.onnx_adapter"]);
        EveryMode.Same("affine", new ModeCase("", Exports.Patch(subject.Model, affine, Mode.Baked, Strength, positions)).Calls(subject, "logits"),
            new ModeCase("", packed, Adapter: adapter).Calls(subject, "logits"));
    }

    [SharedFact]
    public void Folded_weights_cannot_know_tokens_and_it_is_said()
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        string Refusal(SteeringMap map, SteeringOptions options) => Assert.Throws<OnnxException>(() => Steering.Patch(subject.Model, map, options with { Mode = Mode.Folded })).Message;
        var shift = subject.Map(Kind.Shift, subject.Table.Find("model.layers.2"));
        foreach (var positions in new[] { Positions.Prompt, Positions.Generated, Positions.Last })
            Assert.Contains($"positions '{positions.ToString().ToLowerInvariant()}' cannot be folded", Refusal(shift, Options(subject, positions, false)), StringComparison.Ordinal);
        Assert.Contains("a gate cannot be folded", Refusal(shift, Options(subject, Positions.All, true)), StringComparison.Ordinal);
        Assert.Contains("the map has bounds", Refusal(subject.Map(Kind.Bounded, subject.Table.Find("model.layers.2")), new SteeringOptions()), StringComparison.Ordinal);
        Assert.Contains("a bank", Assert.Throws<OnnxException>(() => Steering.Bank(subject.Model, [shift], new SteeringOptions { Mode = Mode.Pack })).Message, StringComparison.OrdinalIgnoreCase);
    }

    // A sum, a projection behind it and one of a packed value.
    private static SteeringMap Map(Subject subject, Kind kind) => subject.Map(kind, subject.Table.Matching(@"model\.(decoder\.)?layers\.1(\.(mlp\.down_proj|fc2|residual_mid))?|model\.(decoder\.)?layers\.2\.self_attn\.q_proj"));

    // A gate that half of all tokens pass.
    private static SteeringOptions Options(Subject subject, Positions positions, bool isGated)
    {
        if (!isGated)
            return new SteeringOptions { Strength = Strength, Positions = positions };
        var site = subject.Table.Matching(@"model\.(decoder\.)?layers\.0")[0];
        var random = new Random(site.Order);
        var direction = Direction.Of(site.Name, [.. Enumerable.Range(0, site.Channels).Select(_ => random.NextSingle() - 0.5f)]);
        // In the middle between two of the tokens of the second call, which has one of each row.
        var projections = Enumerable.Range(0, 3).Select(row => direction.Unit.Select((unit, channel) => (double)unit * subject.Values[site.Name][(row * 12 + 9) * site.Channels + channel]).Sum()).Order().ToArray();
        return new SteeringOptions { Strength = Strength, Positions = positions, Gate = new Gate(direction, (float)((projections[0] + projections[1]) / 2), null) };
    }
}
