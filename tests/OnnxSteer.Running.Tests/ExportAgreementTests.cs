using System.Text.RegularExpressions;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>One map does the same in every export of one checkpoint, at every site that has the same channels there.</summary>
public sealed partial class ExportAgreementTests
{
    // Exports round in different orders; logits reach 20.
    private const double Tolerance = 1e-4;

    [SharedTheory]
    [InlineData(Kind.Affine)]
    [InlineData(Kind.Bounded)]
    [InlineData(Kind.Shift)]
    [InlineData(Kind.Scale)]
    public void Every_site_steers_the_logits_of_every_export_alike(Kind kind)
    {
        var subjects = Exports.Names.Select(Subject.Of).ToList();
        var first = subjects[0];
        var compared = 0;
        // A dial a site, all in one graph of each export.
        var runners = subjects.Select(subject => new Runner(first.Tried.Where(site => IsShared(subject, site)).Aggregate(subject.Model, (model, site) =>
            model.Apply(Steering.Patch(model, first.Map(kind, site), new SteeringOptions { Mode = Mode.Live, Label = $"s{site.Order}", Strength = 0 }))))).ToList();
        try
        {
            var unsteered = runners[0].Logits(first.Rows);
            foreach (var site in first.Tried)
            {
                var dial = new Dictionary<string, float[]> { [$"onnxsteer.strength.s{site.Order}"] = [0.8f] };
                var expected = runners[0].Logits(first.Rows, dial);
                Assert.False(Bits.Same(unsteered, expected), $"{site.Name} changes nothing");
                foreach (var (subject, runner) in subjects.Zip(runners).Skip(1).Where(pair => IsShared(pair.First, site)))
                {
                    var worst = Exports.Worst(expected, runner.Logits(first.Rows, dial));
                    Assert.True(worst <= Tolerance, $"{site.Name} in {subject.Export}: {worst}");
                    compared++;
                }
            }
        }
        finally
        {
            foreach (var runner in runners)
                runner.Dispose();
        }
        // All sites of the one, and of the one with padded heads all but the three projections a block into them, and the heads.
        Assert.Equal(2 * first.Tried.Count - first.Tried.Count(site => Heads().IsMatch(site.Name)), compared);
    }

    private static bool IsShared(Subject subject, Site site) => subject.Table.Find(site.Name).Channels == site.Channels;

    [GeneratedRegex(@"self_attn\.([qkv]_proj|heads\.\d+)$")]
    private static partial Regex Heads();
}
