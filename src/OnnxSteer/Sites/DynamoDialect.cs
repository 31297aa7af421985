using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// PyTorch's dynamo exporter: values bear names of its own (<c>linear_7</c>), but every node's metadata hold the modules it
/// was made in, in <c>pkg.torch.onnx.name_scopes</c> or <c>namespace</c>.
/// </summary>
internal static partial class DynamoDialect
{
    private const string Scopes = "pkg.torch.onnx.name_scopes", Namespace = "namespace";

    public static Dialect Instance { get; } = new("dynamo", Recognise,
        model => LanguageSites.OfGraphs(model, graph => ModuleSites.Of(graph, ModuleScopes.Of(graph, (node, _) => ScopeOf(node.Node)))))
    {
        ScopeOf = (node, _) => ScopeOf(node.Node),
    };

    private static string? Recognise(Model model)
    {
        var nodes = model.Graphs.SelectMany(graph => graph.Nodes).ToList();
        var told = nodes.Count(node => ScopeOf(node) is { Length: > 0 });
        return told > 0 ? $"{told} of {nodes.Count} nodes tell their modules in metadata; producer '{model.Producer}'" : null;
    }

    // Paths are given whole, each below the one before; the last entry is the node itself.
    public static string? ScopeOf(Node node)
    {
        var paths = MetadataOf(node, Scopes) is { } scopes
            ? ListItem().Matches(scopes).Select(match => match.Groups["item"].Value).ToList()
            : MetadataOf(node, Namespace)?.Split('/').Select(step => step.Split(':')[0].Trim()).ToList();
        if (paths is not { Count: > 1 })
            return null;
        var (scope, before) = ("", "");
        foreach (var path in paths.SkipLast(1).Where(path => path.Length > 0 && path[0] != '_'))
        {
            var step = path.StartsWith(before + ".", StringComparison.Ordinal) ? path[(before.Length + 1)..] : path;
            (scope, before) = (scope.Length == 0 ? step : $"{scope}/{step}", path);
        }
        return scope;
    }

    private static string? MetadataOf(Node node, string key)
    {
        foreach (var entry in node.Metadata)
            if (entry.Key == key)
                return entry.Value;
        return null;
    }

    [GeneratedRegex(@"'(?<item>[^']*)'")]
    private static partial Regex ListItem();
}
