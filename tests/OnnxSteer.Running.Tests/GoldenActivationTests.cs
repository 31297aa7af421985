using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Ort;

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

    public static TheoryData<string, OptimizationLevel> AllFixturesTwice
    {
        get
        {
            var data = new TheoryData<string, OptimizationLevel>();
            foreach (var export in Exports.Fixtures)
            {
                data.Add(export, OptimizationLevel.All);
                // Without VNNI only the optimizer keeps sums of 8 bit products from overflowing: see Runner.OneThread.
                if (!export.EndsWith("int8", StringComparison.Ordinal))
                    data.Add(export, OptimizationLevel.Disabled);
            }
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(AllFixturesTwice))]
    public void Every_site_holds_what_its_module_gives_out(string export, OptimizationLevel level)
    {
        var model = Exports.Exact(export);
        using var golden = Exports.Golden(export);
        var table = SiteTable.Of(model);
        var sites = golden.Tensors.Select(tensor => tensor.Name).Where(name => name.StartsWith("act/", StringComparison.Ordinal)).Select(name => table.Find(name[4..])).ToList();
        Assert.True(sites.Count > 30);
        var (patch, taps) = SiteTaps.Whole(model, sites);
        var rows = Exports.Rows(golden, "input_ids");
        using var runner = new Runner(model.Apply(patch), Runner.OneThread with { OptimizationLevel = level });
        var values = Exports.Values(taps, runner.Run(rows, Exports.OutputsOf(taps)), rows.Sum(row => row.Length));
        var known = Exports.SitesJson(export).GetProperty("sites").EnumerateArray().ToDictionary(row => row.GetProperty("site").GetString()!);
        var (tolerance, wrong) = (Exports.ToleranceOf(export), new List<string>());
        foreach (var site in sites)
        {
            var (expected, actual, shape) = (golden.ReadSingles($"act/{site.Name}"), values[site.Name], golden[$"act/{site.Name}"].Shape);
            // Norms of heads may come before or behind a transpose, which the reference had behind.
            if (shape is [_, var heads, var tokens, var size] && site.Rank == 3 && tokens == rows[0].Length && site.Channels == heads * size)
                expected = [.. Enumerable.Range(0, rows.Length * (int)(tokens * heads)).SelectMany(i =>
                    expected.AsSpan((int)(((i / (heads * tokens) * heads) + i % heads) * tokens + i / heads % tokens) * (int)size, (int)size).ToArray())];
            else if (site.Rank == shape.Length)
                Assert.Equal(shape[^1], site.Channels);
            if (tolerance is { } limit && Exports.WorstRow(expected, actual, (int)shape[^1]) is var worst && worst > limit)
                wrong.Add($"{site.Name}: {worst}");
            if (tolerance is null && Exports.Cosine(expected, actual) is var cosine && known[site.Name].TryGetProperty("cosine", out var stated) && !(cosine >= stated.GetDouble() - 1e-3))
                wrong.Add($"{site.Name}: cosine {cosine}, stated {stated}");
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void No_site_is_there_that_the_reference_does_not_know(string export)
    {
        var table = SiteTable.Of(Exports.Open(export));
        var known = Exports.SitesJson(export).GetProperty("sites").EnumerateArray().Select(row => row.GetProperty("site").GetString()).ToHashSet();
        Assert.Empty(table.Sites.Where(site => !site.Name.Contains(".heads.", StringComparison.Ordinal) && !site.Names.Any(known.Contains)).Select(site => site.Name));
        Assert.Equal(table.Sites.Select(site => site.Order), Enumerable.Range(0, table.Sites.Length));
    }

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void Heads_are_parts_of_what_the_output_projection_reads(string export)
    {
        var table = SiteTable.Of(Exports.Open(export));
        var blocks = table.Sites.Count(site => site.Name.EndsWith(".residual_mid", StringComparison.Ordinal));
        var heads = table.Sites.Where(site => site.Name.Contains(".heads.", StringComparison.Ordinal)).GroupBy(site => site.Places[0].At.Value).ToList();
        Assert.Equal(blocks, heads.Count);
        Assert.All(heads, layer => Assert.Equal(Enumerable.Range(0, layer.Count()).Select(head => head * layer.First().Channels), layer.Select(site => site.Places[0].At.Range!.Value.Start)));
        using var golden = Exports.Golden(export);
        Assert.Single(heads.Select(layer => layer.Count()).Distinct());
    }

    [SharedFact]
    public void An_export_that_runs_on_a_GPU_only_has_the_sites_of_its_twin()
    {
        static IEnumerable<string> Text(string export, int scale) => SiteTable.Of(Exports.Open(export)).Sites.Select(site =>
            $"{site.Name} {string.Join(' ', site.Aliases)} {site.Places[0].At.Value} {site.Places[0].Hook} {site.DataType} {site.Rank} {site.Places[0].At.Range?.Start / scale}");
        Assert.Equal(Text("stories260k-h16/genai-cuda-fp16", 2), Text("stories260k/genai-cuda-fp16", 1));
    }
}
