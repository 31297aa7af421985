using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Onnx.Tests;

/// <summary>What is inferred of values, against values that were measured by running the models.</summary>
public class FactTests
{
    public static TheoryData<string, bool> Fixtures()
    {
        var data = new TheoryData<string, bool>();
        if (!Folders.HasShared)
            return data;
        foreach (var folder in new[] { "stories260k", "stories260k-h16", "tiny" }.SelectMany(name => Directory.GetDirectories(Folders.InShared("models", name))).Order(StringComparer.Ordinal))
            if (File.Exists(Path.Combine(folder, "sites.json")))
                foreach (var isAnnotated in new[] { true, false })
                    data.Add(Path.GetRelativePath(Folders.InShared("models"), folder), isAnnotated);
        return data;
    }

    [SharedTheory]
    [MemberData(nameof(Fixtures))]
    public void Facts_of_sites_are_those_measured(string fixture, bool isAnnotated)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Folders.InShared("models", fixture, "sites.json")));
        var model = Model.Open(Folders.InShared("models", fixture, json.RootElement.GetProperty("model").GetString()!));
        if (!isAnnotated)
            model = model.Apply(GraphPatch.Empty.With(model.Graphs.Where(graph => !graph.IsFunction)
                .SelectMany(graph => graph.ValueInfos.Select((_, index) => new Remove("strip", graph.Path, Part.ValueInfo, index)))));
        var tables = model.Graphs.ToDictionary(graph => graph, graph => FactTable.Of(graph));
        // Elsewhere sizes are computed while the model runs: what is said of them must be right, but it need not be all.
        var isExact = isAnnotated || !fixture.EndsWith("dynamo", StringComparison.Ordinal);
        var wrong = new List<string>();
        foreach (var site in json.RootElement.GetProperty("sites").EnumerateArray())
        {
            // A site whose value is not in the graph, or that lies in several parts, has no shape there.
            if (!site.TryGetProperty("shape", out var sizes))
                continue;
            var value = site.GetProperty("value").GetString()!;
            var shape = sizes.EnumerateArray().Select(size => size.GetInt64()).ToList();
            foreach (var (graph, table) in tables.Where(entry => entry.Key.Producer(value) is not null))
            {
                var (facts, measured) = (table[value], new ValueFacts(Enum.Parse<DataType>(site.GetProperty("dtype").GetString()!, ignoreCase: true), shape.Count, shape[^1]));
                if (facts != measured && (isExact || facts.Or(measured) != measured))
                    wrong.Add($"{graph.Path}: {value} ({graph.Producer(value)!.OpType}): {facts}, measured {site.GetProperty("dtype")} [{string.Join(", ", shape)}]");
            }
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }
}
