using System.Collections.Immutable;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Maps that must not go into a model, and the words that say why.</summary>
public sealed class RefusalTests
{
    public static TheoryData<string> All => Exports.All;

    [SharedTheory, MemberData(nameof(All))]
    public void What_changes_nothing_is_refused_unless_allowed(string export)
    {
        var subject = Subject.Of(export);
        var site = subject.Table.Find("model.layers.2.mlp.down_proj");
        ImmutableArray<float> ones = [.. Enumerable.Repeat(1f, 64)], zeros = [.. new float[64]];
        var identity = MapOf(site.Name, Transport.Of(site.Name, ones, zeros));
        // An affine map whose support holds no number is the identity too.
        var empty = MapOf(site.Name, Transport.Of(site.Name, [.. ones.Select(w => 2 * w)], ones, zeros, zeros));
        foreach (var mode in new[] { Mode.Baked, Mode.Live })
        {
            var options = new SteeringOptions { Mode = mode };
            foreach (var map in new[] { identity, empty })
            {
                Refused(() => Steering.Patch(subject.Model, map, options), "changes nothing", "--allow-identity");
                using var runner = new Runner(subject.Model.Apply(Steering.Patch(subject.Model, map, options with { AllowIdentity = true })));
                Assert.Empty(Bits.Differing(subject.Unsteered[0], subject.Calls(runner)[0]));
            }
        }
        var real = subject.Map(Kind.Affine, site);
        Refused(() => Steering.Patch(subject.Model, real, new SteeringOptions { Strength = 0 }), "Strength 0 baked", "--allow-identity");
        Steering.Patch(subject.Model, real, new SteeringOptions { Strength = 0, AllowIdentity = true });
        // A dial that stands at 0 can be turned.
        Steering.Patch(subject.Model, real, new SteeringOptions { Strength = 0, Mode = Mode.Live });
        foreach (var strength in new[] { float.NaN, float.PositiveInfinity })
            Refused(() => Steering.Patch(subject.Model, real, new SteeringOptions { Strength = strength }), "no finite number");
    }

    [SharedFact]
    public void Parameters_beyond_their_type_are_refused()
    {
        var model = Exports.Open("stories260k-h16/genai-cuda-fp16");
        var map = MapOf("model.layers.2.mlp.down_proj", Transport.Of("model.layers.2.mlp.down_proj", [.. Enumerable.Repeat(1f, 64)], [.. Enumerable.Repeat(100f, 64)]));
        Steering.Patch(model, map, new SteeringOptions { Strength = 600 });
        foreach (var mode in new[] { Mode.Baked, Mode.Live, Mode.Pack })
            Refused(() => Steering.Patch(model, map, new SteeringOptions { Mode = mode, Strength = 700 }), "float16 cannot hold", "smaller strength");
    }

    [SharedTheory, MemberData(nameof(All))]
    public void A_map_of_another_model_is_refused_unless_forced(string export)
    {
        var subject = Subject.Of(export);
        var map = subject.Map(Kind.Affine, subject.Table.Matching(".*down_proj"));
        foreach (var other in Exports.Names)
        {
            var fingerprint = Fingerprints.Of(Subject.Of(other).Model, Subject.Of(other).Table);
            var foreign = map.With(new Provenance(Fingerprint: fingerprint));
            if (other == export)
            {
                Assert.NotEmpty(Steering.Patch(subject.Model, foreign).Edits);
                continue;
            }
            // Padded heads are other channels; else it is the same architecture in another export.
            var isSameArchitecture = other.Split('/')[0] == export.Split('/')[0];
            Refused(() => Steering.Patch(subject.Model, foreign), "fitted on another model", "--force",
                isSameArchitecture ? "the sites agree" : "another architecture", isSameArchitecture ? "places equal" : "against");
            Assert.NotEmpty(Steering.Patch(subject.Model, foreign, new SteeringOptions { Force = true }).Edits);
        }
        var here = Fingerprints.Of(subject.Model, subject.Table);
        Refused(() => Steering.Patch(subject.Model, map.With(new Provenance(Fingerprint: here with { Weights = new string('0', 32) }))), "the weights differ");
        Refused(() => Steering.Patch(subject.Model, map.With(new Provenance(Fingerprint: here with { Graph = new string('0', 32) }))), "the graph differs");
    }

    [SharedTheory, MemberData(nameof(All))]
    public void A_map_fits_a_steered_model_by_what_it_was_before(string export)
    {
        var subject = Subject.Of(export);
        var map = subject.Map(Kind.Affine, subject.Table.Matching(".*down_proj")).With(new Provenance(Fingerprint: Fingerprints.Of(subject.Model, subject.Table)));
        var once = subject.Model.Apply(Steering.Patch(subject.Model, map));
        var twice = once.Apply(Steering.Patch(once, map));
        Assert.NotEmpty(Steering.Patch(twice, map).Edits);
        // One that was fitted on the steered model belongs to it, and not to the model before.
        var later = map.With(new Provenance(Fingerprint: Fingerprints.Of(once, SiteTable.Of(once))));
        Assert.NotEmpty(Steering.Patch(once, later).Edits);
        Refused(() => Steering.Patch(subject.Model, later), "fitted on another model", "places equal");
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Channels_and_sites_must_be_there(string export)
    {
        var model = Subject.Of(export).Model;
        var narrow = new Transport[] { Transport.Of("x", [2], [0]), Transport.Of("x", [.. Enumerable.Repeat(2f, 65)], [.. new float[65]]) };
        foreach (var transport in narrow)
            Refused(() => Steering.Patch(model, MapOf("model.layers.0.mlp.down_proj", transport)), "'model.layers.0.mlp.down_proj' has 64 channels", $"has {transport.Channels}");
        Refused(() => Steering.Patch(model, MapOf("model.layers.2.mlp.dwon_proj", narrow[0])), "no site 'model.layers.2.mlp.dwon_proj'", "'model.layers.2.mlp.down_proj'");
        Refused(() => Steering.Patch(model, MapOf("value:nothing_of_the_kind", narrow[0])), "no value 'nothing_of_the_kind'", "Nearest");
        Refused(() => Subject.Of(export).Table.Matching(".*dwon_proj"), "matches none of the 103 sites", "Nearest: '");
        Refused(() => Subject.Of(export).Table.Matching("(*"), "is no regular expression");
    }

    [SharedTheory, MemberData(nameof(All))]
    public void One_place_is_steered_once(string export)
    {
        var subject = Subject.Of(export);
        // Two names of one site.
        foreach (var site in subject.Table.Sites)
        {
            var transport = subject.Transport(site, Kind.Affine);
            foreach (var alias in site.Aliases)
                Refused(() => Steering.Patch(subject.Model, new SteeringMap([new(site.Name, transport), new(alias, transport)])), "one place twice", $"'{site.Name}'", $"'{alias}'");
            // A name, and the value that lies there.
            if (site.Places[0].At.Range is null && site.Places[0].Hook != Hook.Absent)
                Refused(() => Steering.Patch(subject.Model, new SteeringMap([new($"value:{site.Places[0].At.Value}", transport), new(site.Name, transport)])), "one place twice");
        }
        Assert.Contains(subject.Table.Sites, site => site.Aliases.Length > 1);
    }

    [SharedFact]
    public void A_packed_value_and_a_part_of_it_are_one_place()
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        foreach (var site in subject.Table.Sites.Where(site => site.Places[0].At.Range is not null))
        {
            var value = subject.Table.Find($"value:{site.Places[0].At.Value}");
            Assert.Equal(site.Name.Contains(".heads.", StringComparison.Ordinal) ? 128 : 256, value.Channels);
            var whole = new SiteTransport(value.Name, Transport.Of(value.Name, [.. Enumerable.Repeat(2f, value.Channels)], [.. new float[value.Channels]]));
            var part = new SiteTransport(site.Name, subject.Transport(site, Kind.Affine));
            Refused(() => Steering.Patch(subject.Model, new SteeringMap([whole, part])), "one place twice");
            Refused(() => Steering.Patch(subject.Model, new SteeringMap([part, whole])), "one place twice");
        }
        // Three parts side by side are three places.
        Assert.NotEmpty(Steering.Patch(subject.Model, subject.Map(Kind.Affine, subject.Table.Matching(@".*layers\.1\.self_attn\.[qkv]_proj"))).Edits);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void A_second_live_map_needs_a_label(string export)
    {
        var subject = Subject.Of(export);
        var map = subject.Map(Kind.Affine, subject.Table.Matching(".*down_proj"));
        foreach (var label in new[] { null, "calm" })
        {
            var options = new SteeringOptions { Mode = Mode.Live, Label = label };
            var once = subject.Model.Apply(Steering.Patch(subject.Model, map, options));
            Refused(() => Steering.Patch(once, map, options), "is there already", "--label");
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Dials_that_are_not_there_or_do_not_fit_are_refused(string export)
    {
        var subject = Subject.Of(export);
        using var live = new Runner(Exports.Patch(subject.Model, subject.Map(Kind.Affine, subject.Table.Sites[5]), Mode.Live, 1));
        Refused(() => live.Decoder.Start(3, Exports.Dial(1, 2)), "2 values", "3 rows");
        Refused(() => live.Decoder.Start(3, new Dictionary<string, float[]> { ["onnxsteer.strength.calm"] = [1] }), "'onnxsteer.strength.calm'", "'onnxsteer.strength'");
        using var unsteered = new Runner(subject.Model);
        Refused(() => unsteered.Decoder.Start(1, Exports.Dial(1)), "there are none", "--mode live");
    }

    private static SteeringMap MapOf(string site, Transport transport) => new([new SiteTransport(site, transport)]);

    private static void Refused(Func<object> act, params string[] words)
    {
        var message = Assert.Throws<OnnxException>(act).Message;
        Assert.All(words, word => Assert.Contains(word, message, StringComparison.Ordinal));
    }
}
