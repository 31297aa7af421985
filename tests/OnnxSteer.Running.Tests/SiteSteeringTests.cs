using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// What steering does to the sites themselves, read from runs with every site tapped on both sides: those before the steered
/// one keep every bit, the steered one becomes <c>T</c> of what it was.
/// </summary>
public sealed class SiteSteeringTests
{
    public static TheoryData<string, Kind> Cases => StrengthTests.Cases;

    public static TheoryData<string, Mode> Modes
    {
        get
        {
            var data = new TheoryData<string, Mode>();
            foreach (var export in Exports.Names)
                data.Add(export, export == "stories260k/genai-fp32" ? Mode.Baked : Mode.Live);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void A_steered_site_is_the_transport_of_what_it_was_and_nothing_before_it_changes(string export, Kind kind)
    {
        var subject = Subject.Of(export);
        foreach (var site in subject.SitesFor(kind))
        {
            // Both modes, at a strength of their own.
            var (mode, strength) = site.Order % 2 == 0 ? (Mode.Baked, 0.7f) : (Mode.Live, 1f);
            var map = subject.Map(kind, site);
            var after = Tapped(Exports.Patch(subject.Model, map, mode, strength), subject);
            Upstream(subject, subject.Values, after, site);
            Steered(site, map[site.Name], strength, subject.Values[site.Name], after[site.Name], _ => true);
            Assert.False(Bits.Same(subject.Values[site.Name], after[site.Name]), $"{site.Name}: nothing changed");
            foreach (var part in subject.Table.Sites.Where(other => other != site && other.Places[0].At.Value == site.Places[0].At.Value))
                Assert.True(Bits.Same(subject.Values[part.Name], after[part.Name]), $"{site.Name}: {part.Name}, another part of the same value, changed");
        }
    }

    [SharedTheory, MemberData(nameof(Modes))]
    public void Each_further_site_of_a_map_acts_on_what_the_sites_before_it_made(string export, Mode mode)
    {
        const float small = 0.15f;
        var subject = Subject.Of(export);
        var (before, steered) = (subject.Values, new List<SiteTransport>());
        // A growing map: the first site, the first two, and so on to all. Small changes, since they add up.
        foreach (var site in subject.Tried)
        {
            var full = subject.Transport(site, Kind.Affine);
            var transport = Transport.Of(site.Name, [.. full.W.Select(w => 1 + small * (w - 1))], [.. full.B.Select(b => small * b)]);
            steered.Add(new SiteTransport(site.Name, transport));
            var after = Tapped(Exports.Patch(subject.Model, new SteeringMap(steered), mode, 1), subject);
            Upstream(subject, before, after, site);
            Steered(site, transport, 1, before[site.Name], after[site.Name], _ => true);
            before = after;
        }
        Assert.Equal(subject.Tried.Count, steered.Count);
    }

    [SharedTheory, MemberData(nameof(GoldenActivationTests.All), MemberType = typeof(GoldenActivationTests))]
    public void Last_steers_the_last_real_token_of_each_row_alone(string export)
    {
        var subject = Subject.Of(export);
        var rows = new[] { subject.Rows[0][..5], subject.Rows[1], subject.Rows[2][..9] };
        var (patch, taps) = SiteTaps.Whole(subject.Model, subject.Table.Sites);
        var outputs = taps.Select(tap => tap.Parts[0].Output).Distinct().ToList();
        using var unsteered = new Runner(subject.Model.Apply(patch));
        var batch = unsteered.Batch(rows);
        var before = Cut(unsteered.Run(rows, outputs), taps, rows.Length * batch.Columns);
        foreach (var site in subject.Tried)
        {
            var (kind, mode) = ((Kind)(site.Order % 4), site.Order / 4 % 2 == 0 ? Mode.Baked : Mode.Live);
            var map = subject.Map(kind, site);
            var model = Exports.Patch(subject.Model, map, mode, 0.7f, Positions.Last);
            var (tap, tapped) = SiteTaps.Whole(model, SiteTable.Of(model).Sites);
            using var runner = new Runner(model.Apply(tap));
            var after = Cut(runner.Run(rows, outputs), tapped, rows.Length * batch.Columns);
            Upstream(subject, before, after, site);
            Steered(site, map[site.Name], 0.7f, before[site.Name], after[site.Name], token => token % batch.Columns == batch.Last(token / batch.Columns));
        }
    }

    [SharedTheory, MemberData(nameof(GoldenActivationTests.All), MemberType = typeof(GoldenActivationTests))]
    public void Prompt_and_generated_steer_calls_by_their_length(string export)
    {
        var subject = Subject.Of(export);
        var (patch, taps) = SiteTaps.Whole(subject.Model, subject.Table.Sites);
        using var unsteered = new Runner(subject.Model.Apply(patch));
        var first = unsteered.Call(subject.Part(0, 9));
        var second = unsteered.Call(subject.Part(9, 10), first);
        // Every third site, or every sixth.
        foreach (var site in subject.Tried.Where((_, i) => i % (subject.IsSlow ? 6 : 3) == 1))
            foreach (var positions in new[] { Positions.Prompt, Positions.Generated })
            {
                var (kind, mode) = ((Kind)(site.Order % 4), site.Order / 4 % 2 == 0 ? Mode.Baked : Mode.Live);
                var map = subject.Map(kind, site);
                var model = Exports.Patch(subject.Model, map, mode, 0.7f, positions);
                var (tap, tapped) = SiteTaps.Whole(model, SiteTable.Of(model).Sites);
                using var runner = new Runner(model.Apply(tap));
                foreach (var (name, before, after) in new[] { ("prompt", first, runner.Call(subject.Part(0, 9))), ("token", second, runner.Call(subject.Part(9, 10), first)) })
                {
                    var tokens = 3 * (name == "prompt" ? 9 : 1);
                    var isSteered = (positions == Positions.Prompt) == (name == "prompt");
                    var (was, now) = (Cut(before, taps, tokens), Cut(after, tapped, tokens));
                    Upstream(subject, was, now, site);
                    Steered(site, map[site.Name], 0.7f, was[site.Name], now[site.Name], _ => isSteered);
                    Assert.True(isSteered || Bits.Same(before["logits"], after["logits"]), $"{site.Name}, {positions}: logits of a {name} call changed");
                }
            }
    }

    private static Dictionary<string, float[]> Tapped(Model model, Subject subject) => Exports.Activations(model, SiteTable.Of(model).Sites, subject.Rows);

    private static Dictionary<string, float[]> Cut(Dictionary<string, float[]> values, IEnumerable<SiteTap> taps, int tokens) =>
        taps.ToDictionary(tap => tap.Site.Name, tap => Exports.Cut(values[tap.Parts[0].Output], tap.Parts[0].Place.At.Range, tokens));

    private static void Upstream(Subject subject, Dictionary<string, float[]> before, Dictionary<string, float[]> after, Site site)
    {
        foreach (var other in subject.Table.Sites.Where(other => other.Order < site.Order))
            Assert.True(Bits.Same(before[other.Name], after[other.Name]), $"{site.Name} steered: {other.Name}, before it, changed by {Exports.Worst(before[other.Name], after[other.Name]):g2}");
    }

    // One multiplication, one addition, and the rounding of both parameters. Inside a fused skip norm the change is added to
    // one of two summands instead, whose rounding is relative to them: to the row, as far as can be seen from outside.
    private static void Steered(Site site, Transport transport, float strength, float[] before, float[] after, Func<int, bool> isSteered)
    {
        const double unit = 1.0 / (1 << 23);
        Assert.Equal(before.Length, after.Length);
        for (var token = 0; token < before.Length / site.Channels; token++)
        {
            var largest = Bits.Largest(before.AsSpan(token * site.Channels, site.Channels));
            for (var channel = 0; channel < site.Channels; channel++)
            {
                var (z, y) = ((double)before[token * site.Channels + channel], after[token * site.Channels + channel]);
                var inside = isSteered(token) && (transport.Support is not { } support || (support.Lo[channel] < z && z < support.Hi[channel]));
                double change = strength * (transport.W[channel] - 1.0), shift = (double)strength * transport.B[channel];
                var expected = inside ? z + change * z + shift : z;
                var tolerance = inside ? unit * (2 * Math.Abs(z) + 2 * Math.Abs(change * z) + Math.Abs(shift)) + (site.Places[0].Hook == Hook.After ? 0 : 2 * unit * largest) : 0;
                Assert.True(Math.Abs(y - expected) <= tolerance,
                    $"{site.Name}, token {token}, channel {channel}: {z:R} became {y:R}, expected {expected:R} within {tolerance:g2} ({(inside ? "steered" : "not steered")})");
            }
        }
    }
}
