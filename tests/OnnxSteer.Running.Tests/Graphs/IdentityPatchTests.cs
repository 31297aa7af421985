using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Ort;
using Xunit.Abstractions;

namespace OnnxSteer.Running.Tests.Graphs;

/// <summary>The models of ONNX's own tests under a patch that changes nothing.</summary>
public sealed class IdentityPatchTests(ITestOutputHelper output)
{
    [TestDataFact]
    public void An_identity_patch_changes_no_bit_of_any_deterministic_model()
    {
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var wrong = new List<string>();
        foreach (var path in TestData.Models())
        {
            var kind = Try(path, wrong);
            counts[kind] = counts.GetValueOrDefault(kind) + 1;
        }
        output.WriteLine(string.Join('\n', counts.Select(entry => $"{entry.Value} {entry.Key}").Concat(wrong)));
        Assert.Empty(wrong);
        Assert.True(counts["same bits"] > counts.Values.Sum() / 2, "Most models have a float output and run.");
    }

    private static string Try(string path, List<string> wrong)
    {
        var model = Model.Open(path);
        var isOld = model.Opset() is not >= 7;
        (GraphPatch Patch, int Sites, int Bare)? identity;
        try
        {
            identity = AnyModel.IdentityPatch(model);
        }
        catch (OnnxException e) when (isOld && e.Message.Contains("steering needs 7 or newer", StringComparison.Ordinal))
        {
            return "refused: opset below 7, or none";
        }
        catch (OnnxException e)
        {
            wrong.Add($"{path}: {e.Message}");
            return "wrong";
        }
        if (identity is not var (patch, _, bare))
            return "no float output";
        if (isOld)
            return "opset below 7, or none, and no site";
        if (model.Graphs.SelectMany(graph => graph.Nodes).Any(node => node.OpType.StartsWith("Random", StringComparison.Ordinal) || node.OpType is "Bernoulli" or "Multinomial"))
            return "random";
        var patched = model.Apply(patch);
        if (PatchRecord.Undo(patched).Source.Sha256() != model.Source.Sha256())
            wrong.Add($"{path}: other bytes after undoing");
        Dictionary<string, OrtValue>? inputs = null;
        try
        {
            inputs = AnyModel.InputsOf(model);
            if (inputs is null)
                return "inputs that are no tensors";
            var expected = AnyModel.Run(model, inputs);
            if (AnyModel.Differing(expected, AnyModel.Run(model, inputs)).Any())
                return "random";
            try
            {
                var differing = AnyModel.Differing(expected, AnyModel.Run(patched, inputs)).ToList();
                wrong.AddRange(differing.Select(name => $"{path}: {name} differs"));
                return differing.Count > 0 ? "wrong" : bare == 0 ? "same bits" : "same bits, some outputs without known channels";
            }
            catch (OrtException e)
            {
                wrong.Add($"{path}: does not run any more: {e.Message}");
                return "wrong";
            }
        }
        catch (OrtException)
        {
            return "does not run as it is";
        }
        finally
        {
            foreach (var value in inputs?.Values ?? Enumerable.Empty<OrtValue>())
                value.Dispose();
        }
    }
}
