using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>A merged decoder: one site has a place in each branch, and is read, captured and named as any other.</summary>
public sealed class BranchTests
{
    private const string Merged = "stories260k/optimum-merged", Plain = "stories260k/optimum";

    [SharedFact]
    public void Captured_activations_are_those_of_the_decoder_without_branches()
    {
        var (merged, plain) = (Subject.Of(Merged), Subject.Of(Plain));
        var sites = plain.Table.Sites.Where(site => site.Order % 7 == 0).ToList();
        SiteActivations[] Of(Subject subject, Pooling pooling) => [.. Capture.Run(subject.Model, [.. sites.Select(site => subject.Table.Find(site.Name))],
            [subject.Rows[0][..5], subject.Rows[1], subject.Rows[2][..9]], new CaptureOptions { Pooling = pooling, Session = Runner.OneThread })];
        foreach (var pooling in Enum.GetValues<Pooling>())
            foreach (var (site, expected, actual) in sites.Zip(Of(plain, pooling), Of(merged, pooling)))
                Assert.InRange(Exports.WorstRow(expected.Values.Values, actual.Values.Values, site.Channels), 0, 1e-5);
    }

    [SharedFact]
    public void A_value_is_named_in_both_branches_or_in_one()
    {
        var subject = Subject.Of(Merged);
        const string value = "/model/layers.1/Add_1_output_0";
        var both = subject.Table.Find($"value:{value}");
        Assert.Equal(subject.Table.Find("model.layers.1").Places.AsEnumerable(), both.Places.AsEnumerable());
        Assert.Equal(2, both.Places.Length);
        foreach (var place in both.Places)
            Assert.Equal(place, Assert.Single(subject.Table.Find($"value:{place.At.Graph}/{value}").Places));
        // The first call runs one of the two; the other gives nothing.
        var (branches, rows) = (both.Places.Select(place => subject.Table.Find($"value:{place.At.Graph}/{value}")).ToList(), subject.Rows);
        var (patch, taps) = SiteTaps.Whole(subject.Model, branches);
        using var runner = new Runner(subject.Model.Apply(patch));
        var values = runner.Run(rows, Exports.OutputsOf(taps));
        Assert.Equal([0, subject.Values["model.layers.1"].Length], values.Values.Select(part => part.Length).Order());
        Assert.Contains(values.Values, part => Bits.Same(part.Length == 0 ? [] : subject.Values["model.layers.1"], part));
    }

    [SharedFact]
    public void A_value_that_is_nowhere_is_refused()
    {
        var table = Subject.Of(Merged).Table;
        Assert.Throws<OnnxException>(() => table.Find("value:/model/layers.1/Add_9_output_0"));
        Assert.Contains("main/optimum::if:then_branch", Assert.Throws<OnnxException>(() => table.Find("value:main/optimum::if:then_branch/nothing")).Message);
    }
}
