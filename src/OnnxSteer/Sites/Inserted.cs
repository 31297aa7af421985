using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>Nodes that an earlier patch put into a graph: they belong to the module of the node that they stand behind.</summary>
internal static class Inserted
{
    public static bool Is(Node node) => node.Name.Contains(Names.Mark, StringComparison.Ordinal);

    /// <summary>The name of the node that an inserted one stands behind; any other node's own name.</summary>
    public static string NameOf(Node node)
    {
        // Such a node is called NODE.WHAT/OP__onnxsteerN; one behind it has that as its NODE.
        var mark = node.Name.IndexOf(Names.Mark, StringComparison.Ordinal);
        return mark < 0 || node.Name.LastIndexOf('/', mark) is not (> 0 and var end) ? node.Name : node.Name[..end];
    }

    /// <summary>The node whose value inserted ones change, told from the last of them; any other node itself.</summary>
    public static Node Origin(Graph graph, Node node)
    {
        while (Is(node) && node.Input(node.Is("Where") ? 2 : 0) is { } changed && graph.Producer(changed) is { } maker)
            node = maker;
        return node;
    }
}
