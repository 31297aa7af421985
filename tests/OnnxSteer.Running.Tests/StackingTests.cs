using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Running.Tests;

/// <summary>Patches on patches: undone they leave no byte, together they do what each does.</summary>
public sealed class StackingTests
{
    public static TheoryData<string> All => Exports.All;

    [SharedTheory, MemberData(nameof(All))]
    public void Undoing_a_patch_gives_back_every_byte(string export)
    {
        var subject = Subject.Of(export);
        var original = subject.Model.Source.ToArray();
        foreach (var site in subject.Tried)
            foreach (var mode in new[] { Mode.Baked, Mode.Live })
                foreach (var positions in new[] { Positions.All, Positions.Last })
                {
                    var steered = Exports.Patch(subject.Model, subject.Map((Kind)(site.Order % 4), site), mode, 0.5f, positions);
                    Assert.NotEqual(original.Length, steered.Source.Length);
                    Assert.Equal(original, PatchRecord.Undo(steered).Source.ToArray());
                }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Three_patches_come_off_one_by_one(string export)
    {
        var subject = Subject.Of(export);
        var models = new List<Model> { subject.Model };
        var sites = subject.Table.Sites.Where((_, i) => i % 3 != 0).ToList();
        foreach (var options in new[] { new SteeringOptions { Strength = 0.4f }, new SteeringOptions { Mode = Mode.Live, Label = "calm" }, new SteeringOptions { Positions = Positions.Prompt } })
            models.Add(models[^1].Apply(Steering.Patch(models[^1], subject.Map((Kind)models.Count, sites), options)));
        Assert.Equal(["steering", "calm", "steering"], PatchRecord.All(models[^1]).Select(record => record.Label));
        for (var i = models.Count - 1; i > 0; i--)
        {
            Assert.Equal(i, PatchRecord.All(models[i]).Count);
            Assert.Equal(models[i - 1].Source.ToArray(), PatchRecord.Undo(models[i]).Source.ToArray());
        }
        Assert.Contains("no patch to remove", Assert.Throws<OnnxException>(() => PatchRecord.Undo(subject.Model)).Message, StringComparison.Ordinal);
        using var runner = new Runner(models[^1]);
        Assert.All(subject.Calls(runner).SelectMany(call => call.Values), values => Assert.All(values, value => Assert.True(float.IsFinite(value))));
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Patches_on_one_place_act_one_after_the_other(string export)
    {
        var subject = Subject.Of(export);
        // Every fourth site: T2 of T1 of what it was, the second map baked over a live and over a baked first one.
        foreach (var site in subject.Tried.Where(site => site.Order % 4 == 1 || site.Places[0].Hook != Hook.After))
        {
            var (one, two) = (subject.Transport(site, Kind.Affine, 1), subject.Transport(site, Kind.Affine, 2));
            SteeringMap Map(Transport transport) => new([new SiteTransport(site.Name, transport)]);
            foreach (var mode in new[] { Mode.Baked, Mode.Live })
            {
                var first = Exports.Patch(subject.Model, Map(one), mode, 1);
                var second = first.Apply(Steering.Patch(first, Map(two)));
                var z = subject.Values[site.Name];
                var expected = new float[z.Length];
                one.Apply(z, expected, 1);
                two.Apply(expected, expected, 1);
                var worst = Exports.WorstRow(expected, Exports.Activations(second, SiteTable.Of(second).Sites, subject.Rows)[site.Name], site.Channels);
                Assert.True(worst <= 1e-6, $"{site.Name}, {mode} below: {worst}");
            }
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Two_live_maps_have_a_dial_each(string export)
    {
        var subject = Subject.Of(export);
        var (first, second) = (subject.Map(Kind.Affine, subject.Table.Matching(".*o_proj")), subject.Map(Kind.Bounded, subject.Table.Matching(@".*(o_proj|layers\.\d)")));
        var (one, two) = (new SteeringOptions { Mode = Mode.Live, Label = "one", Strength = 0 }, new SteeringOptions { Mode = Mode.Live, Label = "two", Strength = 0 });
        var onlyOne = subject.Model.Apply(Steering.Patch(subject.Model, first, one));
        var onlyTwo = subject.Model.Apply(Steering.Patch(subject.Model, second, two));
        var both = onlyOne.Apply(Steering.Patch(onlyOne, second, two));
        using var runner = new Runner(both);
        Assert.Equal(["onnxsteer.strength.one", "onnxsteer.strength.two"], runner.Decoder.Session.OverridableInitializers.Select(input => input.Name).Order(StringComparer.Ordinal));
        Assert.Empty(Bits.Differing(subject.Unsteered[0], subject.Calls(runner)[0]));
        // With the other dial at 0 each does, to the bit, what it does alone; by rows too.
        foreach (var (alone, label) in new[] { (onlyOne, "one"), (onlyTwo, "two") })
            foreach (var strengths in new[] { new[] { 0.6f }, [0, 1, -0.5f] })
            {
                var dial = new Dictionary<string, float[]> { [$"onnxsteer.strength.{label}"] = strengths };
                using var single = new Runner(alone);
                var (expected, actual) = (subject.Calls(single, dial), subject.Calls(runner, dial));
                Assert.Empty(Bits.Differing(expected[0], actual[0]).Concat(Bits.Differing(expected[1], actual[1])));
                Assert.False(Bits.Same(subject.Unsteered[0]["logits"], actual[0]["logits"]));
            }
        // Both at once are both baked.
        var baked = onlyOne.Apply(Steering.Patch(onlyOne, second, two with { Mode = Mode.Baked, Strength = 0.3f }));
        using var reference = new Runner(baked);
        var dials = new Dictionary<string, float[]> { ["onnxsteer.strength.one"] = [0.6f], ["onnxsteer.strength.two"] = [0.3f] };
        var worst = Exports.Worst(reference.Call(subject.Rows, null, new Dictionary<string, float[]> { ["onnxsteer.strength.one"] = [0.6f] })["logits"], runner.Call(subject.Rows, null, dials)["logits"]);
        Assert.InRange(worst, 0, 1e-4);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Every_site_has_its_dial_in_one_graph(string export)
    {
        var subject = Subject.Of(export);
        // One live map a site, all in one model: turning one dial is steering that site alone.
        var model = subject.Tried.Aggregate(subject.Model, (model, site) =>
            model.Apply(Steering.Patch(model, subject.Map(Kind.Affine, site), new SteeringOptions { Mode = Mode.Live, Label = $"s{site.Order}", Strength = 0 })));
        using var all = new Runner(model);
        Assert.Equal(subject.Tried.Count, all.Decoder.Session.OverridableInitializers.Count);
        Assert.Empty(Bits.Differing(subject.Unsteered[0], subject.Calls(all)[0]));
        foreach (var site in subject.Tried.Where((_, i) => i % 5 == 0))
        {
            using var alone = new Runner(Exports.Patch(subject.Model, subject.Map(Kind.Affine, site), Mode.Live, 0.8f));
            var turned = all.Call(subject.Rows, null, new Dictionary<string, float[]> { [$"onnxsteer.strength.s{site.Order}"] = [0.8f] });
            var differing = Bits.Differing(alone.Call(subject.Rows), turned);
            Assert.True(differing.Count == 0, $"{site.Name}: {string.Join(", ", differing)}");
        }
    }
}
