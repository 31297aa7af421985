using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Tests;

/// <summary>A steered graph has the same sites as before, so that it can be captured from, steered again and verified.</summary>
public sealed class SteeredSitesTests
{
    public static TheoryData<string, Mode> Exports => new()
    {
        { "stories260k/optimum", Mode.Baked }, { "stories260k/optimum", Mode.Live },
        { "stories260k-h16/genai-fp32", Mode.Baked }, { "stories260k-h16/genai-fp32", Mode.Live },
    };

    [Theory, MemberData(nameof(Exports))]
    public void Sites_keep_names_channels_and_order_at_every_site_steered(string export, Mode mode)
    {
        var model = ModelFile.Open(Path.Combine(Folders.Models, export));
        var table = SiteTable.Of(model);
        foreach (var site in table.Sites)
            Same(table, model.Apply(Steering.Patch(model, Map(site), new SteeringOptions { Mode = mode })), site.Name);
        Same(table, model.Apply(Steering.Patch(model, Map([.. table.Sites]), new SteeringOptions { Mode = mode, Positions = Positions.Last })), "all");
    }

    [Theory, MemberData(nameof(Exports))]
    public void Sites_stay_under_three_patches(string export, Mode mode)
    {
        var model = ModelFile.Open(Path.Combine(Folders.Models, export));
        var table = SiteTable.Of(model);
        for (var patch = 0; patch < 3; patch++)
            model = model.Apply(Steering.Patch(model, Map([.. table.Sites]), new SteeringOptions { Mode = mode, Label = $"{patch}" }));
        Same(table, model, "three patches");
    }

    private static SteeringMap Map(params Site[] sites) => new(sites.Select(site =>
        new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(1.5f, site.Channels)], [.. Enumerable.Repeat(0.25f, site.Channels)],
            [.. Enumerable.Repeat(-2f, site.Channels)], [.. Enumerable.Repeat(2f, site.Channels)]))));

    private static void Same(SiteTable expected, Model steered, string where)
    {
        static IEnumerable<string> Describe(SiteTable table) =>
            table.Sites.Select(site => $"{site.Name} {site.Channels} {site.DataType} {site.Rank} {string.Join(',', site.Aliases)} {site.Places[0].At.Range} {site.Places[0].Hook}");
        var actual = SiteTable.Of(steered);
        Assert.True(Describe(expected).SequenceEqual(Describe(actual)),
            $"{where}: {string.Join('\n', Describe(expected).Except(Describe(actual)).Concat(Describe(actual).Except(Describe(expected))).Take(4))}");
    }
}
