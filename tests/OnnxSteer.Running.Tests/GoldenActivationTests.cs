using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Sites against the activations of the PyTorch modules they are named after.</summary>
public sealed class GoldenActivationTests
{
    public static TheoryData<string> All => Exports.All;

    public static TheoryData<string> AllFixtures => Exports.AllFixtures;

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void Every_site_of_the_reference_is_found_where_the_reference_found_it(string export)
    {
        var table = SiteTable.Of(Exports.Open(export));
        var differing = new List<string>();
        foreach (var row in Exports.SitesJson(export).GetProperty("sites").EnumerateArray())
        {
            var name = row.GetProperty("site").GetString()!;
            var listed = table.Sites.FirstOrDefault(site => site.Names.Contains(name));
            var actual = listed is null ? "nowhere" : string.Join("; ", listed.Places.Select(place => Describe(place, listed)));
            var expected = string.Join("; ", Expected(table, row));
            if (expected != actual)
                differing.Add($"{name}: expected {expected}, found {actual}");
            else if (row.GetProperty("aliases").EnumerateArray().FirstOrDefault(alias => !table.Find(alias.GetString()!).Places.SequenceEqual(listed!.Places)) is { ValueKind: JsonValueKind.String } alias)
                differing.Add($"{name}: its alias {alias} is another site");
        }
        Assert.True(differing.Count == 0, string.Join('\n', differing));
    }

    // One text a place: graph, value, range, part of the module, node, hook, type, rank.
    private static string Describe(Place place, Site site) =>
        $"{place.At.Graph} {(place.Hook == Hook.Absent ? "" : place.At.Value)} {place.At.Range} {place.ModuleRange} '{place.Node}' {place.Hook} {site.DataType.Name()} {site.Rank}";

    private static IEnumerable<string> Expected(SiteTable table, JsonElement row)
    {
        string? Text(JsonElement element, string key) => element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value.ToString() : null;
        string Range(JsonElement element, string key) => element.TryGetProperty(key, out var range) ? $"{range[0]}:{range[1]}" : "";
        var tail = $"{Text(row, "dtype")} {Text(row, "rank")}";
        string HookOf(JsonElement element) => Enum.Parse<Hook>((Text(element, "hook") ?? "after").Replace("_", ""), ignoreCase: true).ToString();
        if (row.TryGetProperty("parts", out var parts) && parts.ValueKind == JsonValueKind.Array)
            return parts.EnumerateArray().Select(part => $"main {Text(part, "value")}  {Range(part, "range")} '{ProducerOf(table, Text(part, "value")!)}' After {tail}");
        if (row.TryGetProperty("branches", out var branches))
            return branches.EnumerateObject().OrderBy(branch => branch.Name, StringComparer.Ordinal)
                .Select(branch => $"main/optimum::if:{branch.Name} {Text(branch.Value, "value")}   '{Text(branch.Value, "node")}' {HookOf(branch.Value)} {tail}");
        return [$"main {Text(row, "value")} {Range(row, "range")}  '{Text(row, "node")}' {HookOf(row)} {tail}"];
    }

    private static string ProducerOf(SiteTable table, string value) => table.Find($"value:{value}").Places[0].Node;

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
        Assert.All(table.Sites.Where(site => !site.Name.Contains(".heads.", StringComparison.Ordinal)), site => Assert.Contains(site.Name, known));
        Assert.Equal(table.Sites.Select(site => site.Order), Enumerable.Range(0, table.Sites.Length));
    }
}
