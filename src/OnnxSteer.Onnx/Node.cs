using System.Collections.Immutable;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>A node (NodeProto) of a graph or function body.</summary>
public sealed class Node
{
    private readonly Frame? _around;
    private readonly WireField _field;
    private ImmutableArray<string> _captures;

    internal Node(Graph graph, Frame around, WireField field, int index) => (Graph, _around, _field, Index) = (graph, around, field, index);

    /// <summary>The graph it stands in.</summary>
    public Graph Graph { get; }

    /// <summary>Its position among the graph's nodes, from 0.</summary>
    public int Index { get; }

    /// <summary>The node's name; may be empty, and need not be unique.</summary>
    public string Name { get; internal set; } = "";

    /// <summary>The operator.</summary>
    public string OpType { get; internal set; } = "";

    /// <summary>The operator's domain; empty for ai.onnx.</summary>
    public string Domain { get; internal set; } = "";

    /// <summary>Which of several functions of the same name is meant (IR version 10).</summary>
    public string Overload { get; internal set; } = "";

    /// <summary>Names of the values it reads; empty where an optional input is left out.</summary>
    public ImmutableArray<string> Inputs { get; internal set; } = [];

    /// <summary>Names of the values it makes; empty where an optional output is left out.</summary>
    public ImmutableArray<string> Outputs { get; internal set; } = [];

    /// <summary>Attributes in file order.</summary>
    public ImmutableArray<NodeAttribute> Attributes { get; internal set; } = [];

    /// <summary>Metadata entries of the node (IR version 10), in file order.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Metadata { get; internal set; } = [];

    /// <summary>Values of the graphs around that this node's subgraphs read.</summary>
    public ImmutableArray<string> Captures => _captures.IsDefault ? _captures = CollectCaptures() : _captures;

    /// <summary>Everything the node needs: its inputs that are there, and its captures.</summary>
    public IEnumerable<string> Needs
    {
        get
        {
            foreach (var name in Inputs)
                if (name.Length > 0)
                    yield return name;
            foreach (var name in Captures)
                yield return name;
        }
    }

    // Made when asked for: of hundreds of thousands of nodes a patch touches a few.
    internal Frame Frame => new(_around, _field);

    /// <summary>The attribute of that name, or null.</summary>
    public NodeAttribute? Attribute(string name)
    {
        foreach (var attribute in Attributes)
            if (attribute.Name == name)
                return attribute;
        return null;
    }

    /// <summary>Whether this is the operator of that name, whatever its domain.</summary>
    public bool Is(string opType) => OpType == opType;

    /// <summary>The input at a position, or null where it is left out.</summary>
    public string? Input(int index) => index >= 0 && index < Inputs.Length && Inputs[index].Length > 0 ? Inputs[index] : null;

    /// <summary>The output at a position, or null where it is left out.</summary>
    public string? Output(int index) => index >= 0 && index < Outputs.Length && Outputs[index].Length > 0 ? Outputs[index] : null;

    /// <summary>How messages call the node: its name, else <c>#index</c>.</summary>
    public string Label => Name.Length > 0 ? Name : $"#{Index}";

    /// <summary>A copy of the node's message, subgraphs included.</summary>
    /// <exception cref="OnnxException">It does not parse.</exception>
    public NodeProto ToProto() => Graph.Model.Message(NodeProto.Parser, _field);

    /// <inheritdoc/>
    public override string ToString() => $"{OpType} {Label}";

    private ImmutableArray<string> CollectCaptures() =>
        Attributes.All(attribute => attribute.Graphs.IsEmpty) ? [] : [.. Attributes.SelectMany(attribute => attribute.Graphs).SelectMany(subgraph => subgraph.FreeNames).Distinct()];
}
