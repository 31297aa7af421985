using OnnxSteer.Fixtures;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests;

/// <summary>
/// Graphs that ONNX Runtime's optimizer wrote again: fused norms, activations and biases, lost node names. What is still there
/// is found and holds what the module gives out.
/// </summary>
public sealed class OptimizedTests
{
    public static TheoryData<string, OptimizationLevel> Cases
    {
        get
        {
            var data = new TheoryData<string, OptimizationLevel>();
            foreach (var export in Exports.Fixtures.Where(export => Exports.ToleranceOf(export) is <= 1e-4 && !export.Contains("merged")))
                foreach (var level in new[] { OptimizationLevel.Basic, OptimizationLevel.Extended })
                    data.Add(export, level);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void What_the_optimizer_leaves_is_found(string export, OptimizationLevel level)
    {
        using var folder = new TemporaryFolder();
        var file = folder["model.onnx"];
        foreach (var other in Directory.EnumerateFiles(Exports.FolderOf(export)).Where(name => !name.EndsWith(".onnx", StringComparison.Ordinal)))
            File.Copy(other, folder[Path.GetFileName(other)]);
        using (Session.Open(Exports.Open(export).Path!, new SessionOptions { OptimizedModelPath = file, OptimizationLevel = level }))
        {
        }
        var (model, original) = (Model.Open(file), SiteTable.Of(Exports.Open(export)));
        var table = SiteTable.Of(model);
        using var golden = Exports.Golden(export);
        var names = golden.Tensors.Select(tensor => tensor.Name).Where(name => name.StartsWith("act/", StringComparison.Ordinal)).Select(name => name[4..]).ToList();
        var known = table.Sites.SelectMany(site => site.Names).ToHashSet();
        var missing = names.Where(name => !known.Contains(name)).ToList();
        var sites = names.Except(missing).Select(table.Find).ToList();
        var values = Exports.Activations(model, sites, Exports.Rows(golden, "input_ids"));
        var wrong = sites.Where(site => !site.Name.EndsWith("_norm", StringComparison.Ordinal))
            .Select(site => (site.Name, Worst: Exports.WorstRow(golden.ReadSingles($"act/{site.Name}"), values[site.Name], site.Channels))).Where(entry => entry.Worst > 1e-4).Select(entry => $"{entry.Name}: {entry.Worst}").ToList();
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        // What is fused away: an activation with the product before it, a scale with the head, and names of embeddings that only metadata held.
        var gone = table.Dialect == "structure" ? @"(\.wte|\.wpe|\.drop|\.act)$" : model.Graph.Nodes.Any(node => node.OpType == "FusedGemm") ? @"\.fc1$" : "^lm_head$";
        Assert.All(missing, name => Assert.Matches(gone, name));
        Assert.True(missing.Count <= 6, string.Join(' ', missing));
    }
}
