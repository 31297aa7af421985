using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Sites against the activations of the PyTorch modules they are named after.</summary>
public sealed class GoldenActivationTests
{
    public static TheoryData<string> All => Exports.All;

    [SharedTheory, MemberData(nameof(All))]
    public void Every_site_of_the_reference_is_found_where_the_reference_found_it(string export)
    {
        var table = SiteTable.Of(Exports.Open(export));
        foreach (var row in Exports.SitesJson(export).GetProperty("sites").EnumerateArray())
        {
            var site = table.Find(row.GetProperty("site").GetString()!);
            var place = Assert.Single(site.Places);
            Assert.Equal(row.GetProperty("hook").GetString(), place.Hook.ToString().ToLowerInvariant());
            Assert.Equal(row.GetProperty("node").GetString(), place.Node);
            // The sum that a fused skip norm leaves out has no name in the file.
            if (row.GetProperty("value").GetString() is { } value)
                Assert.Equal(value, place.At.Value);
            if (row.TryGetProperty("dtype", out var type))
                Assert.Equal(type.GetString(), site.DataType.Name());
            if (row.TryGetProperty("range", out var range))
                Assert.Equal((range[0].GetInt32(), range[1].GetInt32()), (place.At.Range!.Value.Start, place.At.Range!.Value.End));
            else
                Assert.Null(place.At.Range);
            foreach (var alias in row.GetProperty("aliases").EnumerateArray())
                Assert.Equal(site.Places[0].At, table.Find(alias.GetString()!).Places[0].At);
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Every_site_holds_what_its_module_gives_out(string export)
    {
        var model = Exports.Open(export);
        using var golden = Exports.Golden(export);
        var names = golden.Tensors.Select(tensor => tensor.Name).Where(name => name.StartsWith("act/", StringComparison.Ordinal)).Select(name => name[4..]).ToList();
        var table = SiteTable.Of(model);
        var sites = names.Select(table.Find).ToList();
        var values = Exports.Activations(model, sites, Exports.Rows(golden, "input_ids"));
        Assert.Equal(73, sites.Count);
        foreach (var site in sites)
        {
            var expected = golden.ReadSingles($"act/{site.Name}");
            Assert.Equal(golden[$"act/{site.Name}"].Shape[^1], site.Channels);
            var worst = Exports.WorstRow(expected, values[site.Name], site.Channels);
            Assert.True(worst <= 1e-4, $"{site.Name}: {worst}");
        }
    }

    [SharedTheory, MemberData(nameof(All))]
    public void No_site_is_there_that_the_reference_does_not_know(string export)
    {
        var table = SiteTable.Of(Exports.Open(export));
        var known = Exports.SitesJson(export).GetProperty("sites").EnumerateArray().Select(row => row.GetProperty("site").GetString()).ToHashSet();
        Assert.All(table.Sites, site => Assert.Contains(site.Name, known));
        Assert.Equal(table.Sites.Select(site => site.Order), Enumerable.Range(0, table.Sites.Length));
    }
}
