using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// The modules of a graph whose node names are paths (<c>/model/layers.0/mlp/down_proj/MatMul</c>), and what each gives
/// out: the last value made inside that something outside reads. Values that do not depend on the tokens' content (masks,
/// rotary tables, shapes) are no module's output.
/// </summary>
internal sealed class ModuleScopes
{
    private readonly Dictionary<string, Node> _outputs = [];

    private ModuleScopes(Graph graph, FactTable facts) => (Graph, Facts) = (graph, facts);

    public Graph Graph { get; }

    public FactTable Facts { get; }

    /// <summary>Scopes (with slashes, without the first) and the node that makes their output, in execution order of the latter.</summary>
    public IEnumerable<(string Scope, Node Node)> Outputs => _outputs.Select(entry => (entry.Key, entry.Value)).OrderBy(entry => entry.Value.Index);

    public static ModuleScopes Of(Graph graph)
    {
        var scopes = new ModuleScopes(graph, FactTable.Of(graph));
        var data = ContentDependent(graph);
        var outputs = graph.Outputs.Select(output => output.Name).ToHashSet();
        foreach (var node in graph.Nodes)
        {
            if (ScopeOf(node) is not { } scope || node.Output(0) is not { } value || !data.Contains(value) || !scopes.Facts[value].DataType.IsFloat())
                continue;
            var readers = graph.Consumers(value).Select(reader => ScopeOf(reader) ?? "").ToList();
            for (var module = scope; module.Length > 0; module = Parent(module))
                if (outputs.Contains(value) || readers.Any(reader => !IsWithin(reader, module)))
                    scopes._outputs[module] = node;
        }
        return scopes;
    }

    /// <summary>The node that made a value before any patch took its name over, or null.</summary>
    public Node? Unsteered(string value)
    {
        for (var patch = 1; patch <= PatchRecord.Count(Graph.Model); patch++)
            if (Graph.Producer($"{value}{Names.Mark}{patch}") is { } node)
                return node;
        return Graph.Producer(value);
    }

    /// <summary>The module a node stands in, or null for a name that is no path.</summary>
    public static string? ScopeOf(Node node)
    {
        var end = node.Name.LastIndexOf('/');
        return end > 0 && node.Name[0] == '/' ? node.Name[1..end] : null;
    }

    private static string Parent(string scope) => scope.LastIndexOf('/') is > 0 and var end ? scope[..end] : "";

    private static bool IsWithin(string scope, string module) =>
        scope.StartsWith(module, StringComparison.Ordinal) && (scope.Length == module.Length || scope[module.Length] == '/');

    // What depends on the graph's content inputs other than through a shape. The attention mask and positions are no content.
    private static HashSet<string> ContentDependent(Graph graph)
    {
        var data = graph.Inputs.Select(input => input.Name)
            .Where(name => !name.Contains("mask", StringComparison.Ordinal) && !name.Contains("position", StringComparison.Ordinal)
                && !name.StartsWith("past", StringComparison.Ordinal))
            .ToHashSet();
        foreach (var node in graph.Nodes)
            if (node.OpType is not ("Shape" or "Size") && node.Needs.Any(data.Contains))
                data.UnionWith(node.Outputs.Where(output => output.Length > 0));
        return data;
    }
}
