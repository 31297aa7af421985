using System.Text.RegularExpressions;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// The TorchScript exporter, which optimum uses: a node is named by its module's path, its value by the node
/// (<c>/model/layers.0/mlp/down_proj/MatMul</c>, <c>..._output_0</c>). Quantizers and ONNX Runtime's optimizer rename nodes
/// and keep the values' names, so a value's own name comes first.
/// </summary>
internal static partial class TorchScriptDialect
{
    public static Dialect Instance { get; } = new("torchscript", Recognise, model => LanguageSites.OfGraphs(model, graph => ModuleSites.Of(graph, ModuleScopes.Of(graph)))) { ScopeOf = ModuleScopes.PathOf };

    private static string? Recognise(Model model)
    {
        var own = model.Graphs.SelectMany(graph => graph.Nodes)
            .Where(node => node.OpType != "Constant" && node.Output(0) is not null && !node.Name.Contains(Names.Mark, StringComparison.Ordinal)).ToList();
        var named = own.Count(node => ValueName().IsMatch(node.Outputs[0]));
        if (named == 0 || 3 * named < own.Count)
            return null;
        var lost = own.Where(node => ModuleScopes.PathIn(node.Name) is null && ValueName().IsMatch(node.Outputs[0])).Select(node => node.OpType).Distinct().Order().ToList();
        return $"{named} of {own.Count} values are named after their module's path; producer '{model.Producer}'"
            + (lost.Count > 0 ? $"; an optimizer or quantizer renamed nodes since ({string.Join(", ", lost.Take(4))})" : "");
    }

    [GeneratedRegex(@"^/[^:]+_output_\d")]
    private static partial Regex ValueName();
}
