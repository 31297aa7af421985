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
        var (own, named, renamed) = (0, 0, new HashSet<string>());
        foreach (var node in model.Graphs.SelectMany(graph => graph.Nodes))
        {
            if (node.OpType == "Constant" || node.Output(0) is not { } value || Names.IsInserted(node))
                continue;
            own++;
            if (!ValueName().IsMatch(value))
                continue;
            named++;
            if (ModuleScopes.PathIn(node.Name) is null)
                renamed.Add(node.OpType);
        }
        if (named == 0 || 3 * named < own)
            return null;
        return $"{named} of {own} values are named after their module's path; producer '{model.Producer}'"
            + (renamed.Count > 0 ? $"; an optimizer or quantizer renamed nodes since ({string.Join(", ", renamed.Order().Take(4))})" : "");
    }

    [GeneratedRegex(@"^/[^:]+_output_\d")]
    private static partial Regex ValueName();
}
