using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>A gate decides in the graph where a map acts.</summary>
public sealed class GateTests
{
    private const float Strength = 0.7f;

    public static TheoryData<string, Mode> Cases
    {
        get
        {
            var data = new TheoryData<string, Mode>();
            foreach (var export in Exports.Names)
            {
                data.Add(export, Mode.Baked);
                data.Add(export, Mode.Live);
            }
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Tokens_beyond_the_threshold_are_steered_and_no_others(string export, Mode mode)
    {
        var subject = Subject.Of(export);
        // Gates of all kinds: a norm, a part of a packed value, a sum inside a norm; and the steered site itself.
        foreach (var (gateName, steered) in new[]
        {
            ("model.layers.1.post_attention_layernorm", "model.layers.1.mlp.down_proj"), ("model.layers.2.self_attn.q_proj", "model.layers.2.self_attn.o_proj"),
            ("model.layers.1", "model.layers.3"), ("model.layers.3", "model.layers.3"), ("model.layers.2.mlp.down_proj", "model.layers.2.mlp.down_proj"),
        })
        {
            var (gate, site) = (subject.Table.Find(gateName), subject.Table.Find(steered));
            var (direction, threshold, isOpen) = Halving(subject, gate);
            var map = subject.Map(Kind.Affine, site);
            var model = subject.Model.Apply(Steering.Patch(subject.Model, map, new SteeringOptions { Mode = mode, Strength = Strength, Gate = new Gate(direction, threshold, null) }));
            var after = Exports.Activations(model, SiteTable.Of(model).Sites, subject.Rows)[site.Name];
            var before = subject.Values[site.Name];
            Assert.InRange(isOpen.Count(open => open), 6, 30);
            for (var token = 0; token < 36; token++)
                Check($"{gateName} on {steered}, token {token}", map[site.Name], before.AsSpan(token * site.Channels, site.Channels), after.AsSpan(token * site.Channels, site.Channels), isOpen[token]);
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void A_pooled_gate_decides_for_rows(string export, Mode mode)
    {
        var subject = Subject.Of(export);
        var (gate, site) = (subject.Table.Find("model.layers.1"), subject.Table.Find("model.layers.2.mlp.down_proj"));
        var (direction, _, _) = Halving(subject, gate);
        // Rows of unequal length, so that padding would tip a mean over all columns.
        var rows = new[] { subject.Rows[0][..5], subject.Rows[1], subject.Rows[2][..9] };
        var means = rows.Select((row, i) => Enumerable.Range(0, row.Length).Average(token => Project(subject.Values[gate.Name], direction, i * 12 + token))).ToArray();
        var threshold = (float)((means.Order().ElementAt(0) + means.Order().ElementAt(1)) / 2);
        var map = subject.Map(Kind.Affine, site);
        var gated = subject.Model.Apply(Steering.Patch(subject.Model, map, new SteeringOptions { Mode = mode, Strength = Strength, Gate = new Gate(direction, threshold, Pooling.Mean) }));
        var steered = Exports.Patch(subject.Model, map, mode, Strength);
        var logits = Exports.Logits(gated, rows);
        using var plain = new Runner(subject.Model);
        using var always = new Runner(steered);
        var columns = logits.Length / 3;
        for (var row = 0; row < 3; row++)
        {
            var expected = (means[row] > threshold ? always : plain).Last(rows[row]);
            using var runner = new Runner(gated);
            Assert.InRange(Exports.Worst(expected, runner.Last(rows[row])), 0, 2e-4);
            var last = new TokenBatch(rows, runner.Decoder.Signature.Padding, runner.Decoder.Config.PadId).Last(row);
            var width = expected.Length;
            Assert.InRange(Exports.Worst(expected, logits.AsSpan(row * columns + last * width, width)), 0, 2e-4);
        }
    }

    [SharedFact]
    public void A_gate_holds_besides_positions_and_bounds()
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        var (gate, site) = (subject.Table.Find("model.layers.1"), subject.Table.Find("model.layers.2.mlp.down_proj"));
        var (direction, threshold, isOpen) = Halving(subject, gate);
        var map = subject.Map(Kind.Bounded, site);
        var options = new SteeringOptions { Strength = Strength, Gate = new Gate(direction, threshold, null), Positions = Positions.Last };
        var model = subject.Model.Apply(Steering.Patch(subject.Model, map, options));
        var after = Exports.Activations(model, SiteTable.Of(model).Sites, subject.Rows)[site.Name];
        for (var token = 0; token < 36; token++)
            Check($"token {token}", map[site.Name], subject.Values[site.Name].AsSpan(token * site.Channels, site.Channels), after.AsSpan(token * site.Channels, site.Channels), isOpen[token] && token % 12 == 11);
    }

    [SharedFact]
    public void A_gate_that_comes_too_late_or_has_other_channels_is_refused()
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        var site = subject.Table.Find("model.layers.2.mlp.down_proj");
        string Refusal(string gateName, Direction? direction = null) => Assert.Throws<OnnxException>(() => Steering.Patch(subject.Model, subject.Map(Kind.Shift, site),
            new SteeringOptions { Gate = new Gate(direction ?? Halving(subject, subject.Table.Find(gateName)).Direction, 0, null) })).Message;
        Assert.Contains("too late", Refusal("model.layers.2"), StringComparison.Ordinal);
        Assert.Contains("too late", Refusal("model.norm"), StringComparison.Ordinal);
        Assert.Contains("3 channels", Refusal("", Direction.Of("model.layers.1", [1, 2, 3])), StringComparison.Ordinal);
        // A norm that a steered sum goes into.
        var sum = subject.Table.Find("model.layers.1.residual_mid");
        Assert.Contains("too late", Assert.Throws<OnnxException>(() => Steering.Patch(subject.Model, subject.Map(Kind.Shift, sum), new SteeringOptions
        {
            Gate = new Gate(Halving(subject, subject.Table.Find("model.layers.1.post_attention_layernorm")).Direction, 0, null),
        })).Message, StringComparison.Ordinal);
    }

    // A direction and a threshold in the widest gap near the middle of the projections, so that rounding moves none across.
    private static (Direction Direction, float Threshold, bool[] IsOpen) Halving(Subject subject, Site gate)
    {
        var random = new Random(gate.Order);
        var direction = Direction.Of(gate.Name, [.. Enumerable.Range(0, gate.Channels).Select(_ => random.NextSingle() - 0.5f)]);
        var projections = Enumerable.Range(0, 36).Select(token => Project(subject.Values[gate.Name], direction, token)).ToArray();
        var sorted = projections.Order().ToArray();
        var at = Enumerable.Range(9, 18).MaxBy(i => sorted[i + 1] - sorted[i]);
        var threshold = (float)((sorted[at] + sorted[at + 1]) / 2);
        return (direction, threshold, [.. projections.Select(projection => projection > threshold)]);
    }

    private static double Project(float[] values, Direction direction, int token) =>
        direction.Unit.Select((unit, channel) => (double)unit * values[token * direction.Unit.Length + channel]).Sum();

    private static void Check(string what, Transport transport, ReadOnlySpan<float> before, ReadOnlySpan<float> after, bool isSteered)
    {
        var expected = before.ToArray();
        if (isSteered)
            transport.Apply(before, expected, Strength);
        var tolerance = isSteered ? 2e-6 * (1 + 2 * Bits.Largest(before) + 2 * Bits.Largest(expected)) : 0;
        var worst = Exports.Worst(expected, after);
        Assert.True(worst <= tolerance, $"{what}, {(isSteered ? "" : "not ")}steered: off by {worst:g2}, {tolerance:g2} allowed");
    }
}
