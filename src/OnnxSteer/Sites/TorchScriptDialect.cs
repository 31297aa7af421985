using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// The TorchScript exporter, which optimum uses: a node is named by its module's path, its value by the node
/// (<c>/model/layers.0/mlp/down_proj/MatMul</c>, <c>..._output_0</c>).
/// </summary>
internal static class TorchScriptDialect
{
    public static Dialect Instance { get; } = new("torchscript", Recognise, Sites);

    private static string? Recognise(Model model)
    {
        var own = model.Graph.Nodes.Where(node => !node.Name.Contains(Names.Mark, StringComparison.Ordinal)).ToList();
        var named = own.Count(node => node.Name.StartsWith('/') && node.Output(0) is { } value && value.StartsWith(node.Name, StringComparison.Ordinal)
            && value.Contains("_output_0", StringComparison.Ordinal));
        return 2 * named > own.Count
            ? $"{named} of {own.Count} values are named after their node's module path; producer '{model.Producer}'"
            : null;
    }

    private static ImmutableArray<Site> Sites(Model model)
    {
        var scopes = ModuleScopes.Of(model.Graph);
        var builder = new SiteBuilder(model.Graph, scopes.Facts);
        foreach (var (scope, node) in scopes.Outputs)
        {
            // The module around all others gives out what its last one does.
            if (!scope.Contains('/', StringComparison.Ordinal) && ModuleScopes.ScopeOf(node) != scope)
                continue;
            var module = scope.Replace('/', '.');
            builder.Add(module, node, 0, $"name: the last value of module path '/{scope}' that is read outside it", Confidence.Certain);
            if (IsBlock(scope) && ResidualBefore(scopes, scope, node) is { } middle)
                builder.Add($"{module}.residual_mid", middle, 0, "structure: the block's sum that its last sum adds to", Confidence.Certain);
        }
        return builder.Build("model.");
    }

    private static bool IsBlock(string scope) => char.IsAsciiDigit(scope[^1]) && scope[(scope.LastIndexOf('/') + 1)..].Contains('.', StringComparison.Ordinal);

    // The residual stream between attention and MLP: made in the block itself, added to by its last node. A norm's
    // cast to its own type may stand between.
    private static Node? ResidualBefore(ModuleScopes scopes, string block, Node last)
    {
        if (scopes.Unsteered(last.Outputs[0]) is not { OpType: "Add" } sum)
            return null;
        foreach (var input in sum.Inputs)
        {
            var value = input;
            while (scopes.Graph.Producer(value) is { OpType: "Cast" or "Identity" } wrapper && wrapper.Input(0) is { } source)
                value = source;
            if (scopes.Unsteered(value) is { OpType: "Add" } maker && ModuleScopes.ScopeOf(maker) == block)
                return scopes.Graph.Producer(value);
        }
        return null;
    }
}
