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
        var nodes = model.Graph.Nodes.Where(node => !Inserted.Is(node)).ToList();
        var named = nodes.Count(node => node.Name.StartsWith('/') && node.Output(0) is { } value && IsNamedAfter(value, node.Name));
        return 2 * named > nodes.Count
            ? $"{named} of {nodes.Count} values are named after their node's module path; producer '{model.Producer}'"
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

    // A value that a patch took the place of has a number behind its name.
    private static bool IsNamedAfter(string value, string node) =>
        value.StartsWith(node, StringComparison.Ordinal) && value.AsSpan(node.Length) is var rest
            && (rest is "_output_0" || rest.StartsWith($"_output_0{Names.Mark}", StringComparison.Ordinal));

    private static bool IsBlock(string scope) => char.IsAsciiDigit(scope[^1]) && scope[(scope.LastIndexOf('/') + 1)..].Contains('.', StringComparison.Ordinal);

    // The residual stream between attention and MLP: made in the block itself, added to by its last node. A norm's
    // cast to its own type may stand between.
    private static Node? ResidualBefore(ModuleScopes scopes, string block, Node last)
    {
        var sum = Inserted.Origin(scopes.Graph, last);
        if (!sum.Is("Add"))
            return null;
        foreach (var input in sum.Inputs)
        {
            var maker = scopes.Graph.Producer(input);
            while (maker is { OpType: "Cast" or "Identity" } && maker.Input(0) is { } source)
                maker = scopes.Graph.Producer(source);
            if (maker is not null && Inserted.Origin(scopes.Graph, maker).Is("Add") && ModuleScopes.ScopeOf(maker) == block)
                return maker;
        }
        return null;
    }
}
