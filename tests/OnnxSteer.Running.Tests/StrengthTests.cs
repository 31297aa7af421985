using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// One site steered at a time: every site of every export, with every kind of map (see <see cref="Subject.SitesFor"/>). Nothing is tapped, so that ONNX Runtime
/// fuses what it likes; the outputs are the logits and the whole cache, of a call on a prompt and of one on the next token.
/// </summary>
public sealed class StrengthTests
{
    // Parameters are scaled in float64 when baked and in float32 when live; through five blocks that moves logits, which
    // reach 20, by this much.
    private const double Tolerance = 5e-5;
    private static readonly float[] Strengths = [0.35f, 1, -1.5f];

    public static TheoryData<string, Kind> Cases
    {
        get
        {
            var data = new TheoryData<string, Kind>();
            foreach (var export in Exports.Names)
                foreach (var kind in Enum.GetValues<Kind>())
                    data.Add(export, kind);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void A_dial_at_0_changes_no_bit_and_at_others_does_what_is_baked(string export, Kind kind)
    {
        var subject = Subject.Of(export);
        foreach (var site in subject.SitesFor(kind))
        {
            var map = subject.Map(kind, site);
            using var live = new Runner(Exports.Patch(subject.Model, map, Mode.Live, 0));
            Same(subject.Unsteered, subject.Calls(live), $"{site.Name}, default 0");
            Same(subject.Unsteered, subject.Calls(live, Exports.Dial(0, 0, 0)), $"{site.Name}, dial at 0 for each row");
            // Every strength is baked for bounded maps where sessions open fast, else one in turn, or none.
            foreach (var strength in (kind == Kind.Bounded, subject.IsSlow) switch { (true, false) => Strengths, (false, true) => [], _ => [Strengths[site.Order % Strengths.Length]] })
            {
                using var baked = new Runner(Exports.Patch(subject.Model, map, Mode.Baked, strength));
                var (expected, actual) = (baked.Call(subject.Rows), live.Call(subject.Rows, null, Exports.Dial(strength)));
                var worst = Exports.Worst(expected["logits"], actual["logits"]);
                Assert.True(worst <= Tolerance, $"{site.Name} at {strength}: {worst}");
                Assert.False(Bits.Same(live.Call(subject.Rows)["logits"], actual["logits"]), $"{site.Name} at {strength} changes nothing");
            }
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Strength_0_baked_changes_no_bit(string export, Kind kind)
    {
        // Identities are written out in full where they are allowed, so shifts and scales alone make the same graph as both.
        if (kind is Kind.Shift or Kind.Scale)
            return;
        var subject = Subject.Of(export);
        foreach (var site in subject.SitesFor(kind))
        {
            var patch = Steering.Patch(subject.Model, subject.Map(kind, site), new SteeringOptions { Strength = 0, AllowIdentity = true });
            Assert.Contains(patch.Edits, edit => edit is Onnx.Patching.AddNode { Node.OpType: "Mul" });
            using var baked = new Runner(subject.Model.Apply(patch));
            Same(subject.Unsteered, subject.Calls(baked), site.Name);
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Each_row_has_its_own_strength(string export, Kind kind)
    {
        var subject = Subject.Of(export);
        // A third of them, each kind another third.
        foreach (var site in subject.SitesFor(kind).Where((_, i) => i % 3 == (int)kind % 3))
        {
            using var live = new Runner(Exports.Patch(subject.Model, subject.Map(kind, site), Mode.Live, 0.5f));
            var mixed = live.Call(subject.Rows, null, Exports.Dial(Strengths));
            for (var row = 0; row < Strengths.Length; row++)
            {
                var dial = Exports.Dial(Strengths[row]);
                var together = live.Call(subject.Rows, null, dial);
                foreach (var (name, values) in mixed)
                    Assert.True(Bits.Same(Row(together[name], row), Row(values, row)), $"{site.Name}, {name}, row {row}: not the bits of that strength for all");
                var alone = live.Call([subject.Rows[row]], null, dial);
                Assert.InRange(Exports.Worst(alone["logits"], Row(mixed["logits"], row)), 0, Tolerance);
            }
        }
    }

    private static ReadOnlySpan<float> Row(float[] values, int row) => values.AsSpan(row * values.Length / Strengths.Length, values.Length / Strengths.Length);

    private static void Same(Dictionary<string, float[]>[] expected, Dictionary<string, float[]>[] actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var call = 0; call < expected.Length; call++)
        {
            Assert.Equal(11, actual[call].Count);
            var differing = Bits.Differing(expected[call], actual[call]);
            Assert.True(differing.Count == 0, $"{what}, call {call + 1}: {string.Join(", ", differing)}");
        }
    }
}
