using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>A steered model has the sites that it had before: it can be tapped, inspected and steered again.</summary>
public sealed class PatchedTableTests
{
    public static TheoryData<string, Kind> Cases => StrengthTests.Cases;

    [SharedTheory, MemberData(nameof(Cases))]
    public void Steering_one_site_leaves_the_table_as_it_was(string export, Kind kind)
    {
        var subject = Subject.Of(export);
        foreach (var site in subject.Tried)
            foreach (var mode in new[] { Mode.Baked, Mode.Live })
                Same(subject.Table, Exports.Patch(subject.Model, subject.Map(kind, site), mode, 0.5f, (Positions)(site.Order % 4)), site.Name);
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Steering_all_sites_thrice_leaves_the_table_as_it_was(string export, Kind kind)
    {
        var subject = Subject.Of(export);
        var model = subject.Model;
        foreach (var (mode, label) in new[] { (Mode.Baked, ""), (Mode.Live, "one"), (Mode.Live, "two") })
        {
            model = model.Apply(Steering.Patch(model, subject.Map(kind, subject.Table.Sites), new SteeringOptions { Mode = mode, Label = label }));
            Same(subject.Table, model, $"all, {mode} {label}");
        }
    }

    private static void Same(SiteTable expected, Model model, string what)
    {
        var actual = SiteTable.Of(model);
        Assert.Equal(expected.Dialect, actual.Dialect);
        // Producers and their positions in the file differ; all else must not.
        static string Text(Site site) =>
            $"{site.Name} [{string.Join(' ', site.Aliases)}] {site.Places[0].At} {site.Places[0].Hook} {site.DataType} rank {site.Rank} {site.Channels} {site.Order}";
        var missing = expected.Sites.Select(Text).Except(actual.Sites.Select(Text)).ToList();
        var extra = actual.Sites.Select(Text).Except(expected.Sites.Select(Text)).ToList();
        Assert.True(missing.Count + extra.Count == 0, $"{what} steered: gone are {string.Join("; ", missing)}, new are {string.Join("; ", extra)}");
    }
}
