using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>
/// Brings sites' values to where they can be read, in the main graph and under one name: sums that fused norms leave out are
/// enabled, missing biases added, values of a control flow node's bodies become one more output of all its bodies and of
/// the node itself.
/// </summary>
internal sealed class TapPoints(Model model, FreshNames names, string label)
{
    private const string Hint = "onnxsteer.tap";

    private readonly Dictionary<string, string> _known = [];
    private readonly Dictionary<Node, int> _outputs = [];

    /// <summary>What it takes.</summary>
    public GraphPatch Patch { get; private set; } = GraphPatch.Empty;

    /// <summary>The sites' parts: places that hold the same channels (branches) are one.</summary>
    public IEnumerable<(Place Place, string Value)> PartsOf(Site site) =>
        site.Places.GroupBy(place => (place.ModuleRange, place.At.Range, Body: place.At.Graph == Graph.MainPath ? place.At.Value : ""))
            .Select(part => (part.First(), ValueOf([.. part], site.DataType)));

    private string ValueOf(ImmutableArray<Place> places, DataType type)
    {
        var key = string.Join('\n', places.Select(place => $"{place.At.Graph}\t{place.At.Value}\t{place.MissingBias}"));
        if (_known.TryGetValue(key, out var value))
            return value;
        if (places is [{ At.Graph: Graph.MainPath } place])
            value = InGraph(place);
        else
            value = OutOf([.. places.Select(place => (model.GraphAt(place.At.Graph), InGraph(place)))], type);
        return _known[key] = value;
    }

    // The value where it is made, complete.
    private string InGraph(Place place)
    {
        var (path, value) = (place.At.Graph, place.At.Value);
        var node = model.GraphAt(path).Nodes[place.NodeIndex];
        if (place.Hook == Hook.Absent)
            Patch = Patch.With(new EnableOutput(label, path, node.Outputs[0], SkipNorm.SumOutput(node), value));
        return place.MissingBias is { } bias ? Add(path, Anchor.After(value), "Add", value, bias) : value;
    }

    // Values of bodies, each given out by its own, up to the main graph.
    private string OutOf(ImmutableArray<(Graph Graph, string Value)> values, DataType type)
    {
        while (values.Length > 1 || values[0].Graph.Outer is not null)
        {
            var depth = values.Max(entry => entry.Graph.Depth);
            if (depth == 0)
                throw new OnnxException($"{model.Source.Name}: '{values[0].Value}' lies in several graphs that are not branches of one another, and cannot be read out as one.");
            var outer = values.First(entry => entry.Graph.Depth == depth).Graph.Outer!;
            var inner = values.Where(entry => entry.Graph.Outer == outer).ToList();
            var node = outer.Nodes.First(node => Bodies(node).Contains(inner[0].Graph));
            values = [.. values.Except(inner), (outer, OutOfNode(outer, node, inner, type))];
        }
        return values[0].Value;
    }

    private string OutOfNode(Graph outer, Node node, List<(Graph Graph, string Value)> inner, DataType type)
    {
        if (node.OpType != "If")
            throw new OnnxException($"{model.Source.Name}: '{inner[0].Value}' lies in the body '{inner[0].Graph.Path}' of a {node.OpType}, which runs several times; only values of an If's branches can be read out.");
        foreach (var body in Bodies(node))
        {
            // A branch without the value gives an empty one.
            var value = inner.Find(entry => entry.Graph == body).Value;
            var given = value is null ? Empty(body, type) : Add(body.Path, Anchor.End, "Identity", value);
            Patch = Patch.With(new AddOutput(label, new ValueInfoProto { Name = given }) { Graph = body.Path });
        }
        var output = names.Value(Hint);
        var index = _outputs[node] = _outputs.GetValueOrDefault(node, node.Outputs.Length - 1) + 1;
        Patch = Patch.With(new EnableOutput(label, outer.Path, node.Outputs.First(name => name.Length > 0), index, output));
        return output;
    }

    private string Empty(Graph body, DataType type) => Add(body.Path, Anchor.End, new NodeProto
    {
        OpType = "Constant",
        Attribute = { new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = Ops.Tensor("", type, [0], []) } },
    });

    private string Add(string graph, Anchor anchor, string op, params string[] inputs) => Add(graph, anchor, new NodeProto { OpType = op, Input = { inputs } });

    private string Add(string graph, Anchor anchor, NodeProto node)
    {
        (node.Name, var output) = (names.Node(Hint), names.Value(Hint));
        node.Output.Add(output);
        Patch = Patch.With(new AddNode(label, graph, anchor, node));
        return output;
    }

    private static IEnumerable<Graph> Bodies(Node node) => node.Attributes.SelectMany(attribute => attribute.Graphs);
}
