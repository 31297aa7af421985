using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Running.Tests;

/// <summary>Monitors show the projection of what a site holds, and change nothing else.</summary>
public sealed class MonitorTests
{
    public static TheoryData<string> All => Exports.All;

    [SharedTheory, MemberData(nameof(All))]
    public void A_monitor_is_the_projection_of_the_site_and_changes_no_bit(string export)
    {
        var subject = Subject.Of(export);
        // Every seventh site, and some of every kind that hides its value: sums and packed parts.
        foreach (var site in subject.Table.Sites.Where(site => site.Order % 7 == 0 || site.Order < 4 || site.Places[0].Hook == Hook.Absent))
        {
            var direction = RandomDirection(site);
            var monitored = subject.Model.Apply(new Monitor("token", direction, null).Patch(subject.Model));
            foreach (var pooling in Enum.GetValues<Pooling>())
                monitored = monitored.Apply(new Monitor(pooling.Name(), direction, pooling).Patch(monitored));
            using var runner = new Runner(monitored);
            var first = runner.Call(subject.Part(0, 9));
            var second = runner.Call(subject.Part(9, 10), first);
            foreach (var (name, values) in subject.Unsteered[0])
                Assert.True(Bits.Same(values, first[name]), $"{site.Name}: {name} changed by {Exports.Worst(values, first[name]):g2}");
            foreach (var (name, values) in subject.Unsteered[1])
                Assert.True(Bits.Same(values, second[name]), $"{site.Name}: {name} of the second call changed");
            Check(site, Project(site, direction, Values(subject, site, 0, 9)), first, 9);
            Check(site, Project(site, direction, Values(subject, site, 9, 10)), second, 1);
        }
    }

    [SharedFact]
    public void Padding_is_not_pooled_and_a_steered_site_shows_what_it_became()
    {
        var subject = Subject.Of("stories260k-h16/genai-fp32");
        var site = subject.Table.Find("model.layers.2.mlp.down_proj");
        var direction = RandomDirection(site);
        var monitor = new Monitor("m", direction, Pooling.Mean);
        var rows = new[] { subject.Rows[0][..5], subject.Rows[1] };
        var monitored = subject.Model.Apply(monitor.Patch(subject.Model));
        var pooled = Exports.Run(monitored, rows, [monitor.Output])[monitor.Output];
        foreach (var (row, ids) in rows.Index())
            Assert.Equal(Exports.Run(monitored, [ids], [monitor.Output])[monitor.Output][0], pooled[row], 1e-4f);

        // A shift by 3 along the direction moves the projection by 3.
        var map = new SteeringMap([new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(1f, site.Channels)], [.. direction.Unit.Select(v => 3 * v)]))]);
        var steered = Exports.Run(monitored.Apply(Steering.Patch(monitored, map)), rows, [monitor.Output])[monitor.Output];
        for (var row = 0; row < rows.Length; row++)
            Assert.Equal(pooled[row] + 3, steered[row], 1e-4f);
    }

    [SharedFact]
    public void Undoing_gives_back_the_bytes_and_bad_monitors_are_refused()
    {
        var model = Exports.Open("stories260k-h16/genai-fp32");
        var site = SiteTable.Of(model).Find("model.norm");
        var monitor = new Monitor("m", RandomDirection(site), null);
        var monitored = model.Apply(monitor.Patch(model));
        Assert.Equal(model.Source.ToArray(0, model.Source.Length), PatchRecord.Undo(monitored).Source.ToArray(0, model.Source.Length));
        Assert.Contains("there already", Assert.Throws<OnnxException>(() => monitor.Patch(monitored)).Message, StringComparison.Ordinal);
        Assert.Contains("letters, digits", Assert.Throws<OnnxException>(() => (monitor with { Name = "a b" }).Patch(model)).Message, StringComparison.Ordinal);
        var wrong = Direction.Of(site.Name, [1, 2, 3]);
        Assert.Contains("3 channels", Assert.Throws<OnnxException>(() => new Monitor("m", wrong, null).Patch(model)).Message, StringComparison.Ordinal);
    }

    [SharedFact]
    public void A_direction_of_another_model_is_refused_unless_forced()
    {
        var model = Exports.Open("stories260k-h16/genai-fp32");
        using var folder = new TemporaryFolder();
        var shift = Transport.Of("model.norm", [.. Enumerable.Repeat(1f, 64)], [.. Enumerable.Repeat(0.5f, 64)]);
        new SteeringMap([new SiteTransport("model.norm", shift)], Provenance.Unknown with { Fingerprint = new Fingerprint("a", "b", "c") }).Save(folder["map.safetensors"]);
        var monitor = new Monitor("m", Direction.Load(folder["map.safetensors"]), null);
        Assert.Contains("another model", Assert.Throws<OnnxException>(() => monitor.Patch(model)).Message, StringComparison.Ordinal);
        Assert.NotEmpty(monitor.Patch(model, force: true).Edits);
        var steered = new SteeringMap([new SiteTransport("lm_head", Transport.Of("lm_head", [.. Enumerable.Repeat(1f, 512)], [.. Enumerable.Repeat(0.5f, 512)]))]);
        Assert.Contains("another model", Assert.Throws<OnnxException>(() => Steering.Patch(model, steered, new SteeringOptions { Gate = new Gate(monitor.Direction, 0, null) })).Message, StringComparison.Ordinal);
    }

    private static Direction RandomDirection(Site site)
    {
        var random = new Random(site.Order);
        return Direction.Of(site.Name, [.. Enumerable.Range(0, site.Channels).Select(_ => random.NextSingle() - 0.5f)]);
    }

    // The site's values at some of each row's tokens, from the run over all of them.
    private static float[] Values(Subject subject, Site site, int from, int to) =>
        [.. Enumerable.Range(0, 3).SelectMany(row => subject.Values[site.Name][((row * 12 + from) * site.Channels)..((row * 12 + to) * site.Channels)])];

    private static double[] Project(Site site, Direction direction, float[] values) =>
        [.. values.Chunk(site.Channels).Select(z => z.Zip(direction.Unit, (a, b) => (double)a * b).Sum())];

    private static void Check(Site site, double[] expected, Dictionary<string, float[]> actual, int tokens)
    {
        var scale = 1e-4 * (1 + expected.Max(Math.Abs));
        void Near(double[] wanted, string name)
        {
            Assert.Equal(wanted.Length, actual[$"onnxsteer.monitor.{name}"].Length);
            foreach (var (i, value) in actual[$"onnxsteer.monitor.{name}"].Index())
                Assert.True(Math.Abs(wanted[i] - value) <= scale, $"{site.Name}, {name} {i}: {value}, expected {wanted[i]}");
        }
        Near(expected, "token");
        Near([.. expected.Chunk(tokens).Select(row => row.Average())], "mean");
        Near([.. expected.Chunk(tokens).Select(row => row.Min())], "min");
        Near([.. expected.Chunk(tokens).Select(row => row.Max())], "max");
        Near([.. expected.Chunk(tokens).Select(row => row[^1])], "last");
    }
}
