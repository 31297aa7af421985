using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// Names for the values and nodes of one patch that neither the model nor the patch has yet. A name ends with the mark and a number,
/// so that a steered value's first maker still tells its name where two branches have a value of that name, and a node's name
/// stays below the path of the module it belongs to: a steered graph has the same modules.
/// </summary>
internal sealed class FreshNames(Model model)
{
    private readonly HashSet<string> values = [];
    private readonly Lazy<HashSet<string>> nodes = new(() => [.. model.Graphs.SelectMany(graph => graph.Nodes).Select(node => node.Name)]);

    public string Value(string hint)
    {
        var name = Names.Fresh(model, hint, values);
        values.Add(name);
        return name;
    }

    public string Node(string hint)
    {
        var number = 1;
        while (!nodes.Value.Add($"{hint}{Names.Mark}{number}"))
            number++;
        return $"{hint}{Names.Mark}{number}";
    }
}
