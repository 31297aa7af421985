using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Finds the constants that nodes read, through transposes, casts and copies, and says who else reads them.</summary>
internal sealed class Constants(Model model)
{
    private const int MaxSteps = 8;
    private readonly Lazy<ILookup<string, (Node Node, int Input)>> _readers = new(() => model.Graphs.SelectMany(graph => graph.Nodes)
        .SelectMany(node => node.Inputs.Index().Where(input => input.Item.Length > 0), (node, input) => (Name: input.Item, Use: (node, input.Index)))
        .ToLookup(use => use.Name, use => use.Use));

    /// <summary>
    /// The constant behind a node's input: who reads it, as which input, and where an axis of the input lies in it; or null. What a
    /// caller may override is none.
    /// </summary>
    public (Node Reader, int Input, Tensor Tensor, int Axis)? Find(Node node, int input, int axis, int? rank = null)
    {
        for (var step = 0; step < MaxSteps && node.Input(input) is { } name; step++)
        {
            var graph = node.Graph.DefinerOf(name);
            if (graph is null || IsOverridable(graph, name))
                return null;
            if (graph.Producer(name) is not { } producer)
                return graph.Initializer(name) is { } tensor && tensor.DataType.IsFloat() ? (node, input, tensor, Positive(axis, rank, tensor)) : null;
            if (producer.Is("Constant") && producer.Attribute("value")?.Tensor is { } value)
                return value.DataType.IsFloat() ? (node, input, value, Positive(axis, rank, value)) : null;
            // A copy, a cast or a transpose that others read too cannot change for one of them.
            if (graph != node.Graph || _readers.Value[name].Count() != 1)
                return null;
            if (producer.Is("Transpose") && producer.Attribute("perm")?.Ints is { Count: > 0 } perm)
                (axis, rank) = ((int)perm[axis < 0 ? perm.Count + axis : axis], perm.Count);
            else if (!producer.Is("Identity") && !producer.Is("Cast"))
                return null;
            (node, input) = (producer, 0);
        }
        return null;
    }

    /// <summary>Who else than those known reads the tensor that an input names; null where nobody does.</summary>
    public string? OtherReader(string name, IReadOnlyCollection<(Node Node, int Input)> known) =>
        _readers.Value[name].Where(reader => !known.Contains(reader)).Select(reader => reader.Node.ToString()).FirstOrDefault()
        ?? (model.Graphs.Any(graph => graph.Outputs.Any(output => output.Name == name)) ? "a graph output" : null);

    /// <summary>How often nodes of a graph, and of graphs inside, read a value; outputs of the graph count too.</summary>
    public static int Reads(Graph graph, string value) =>
        graph.Consumers(value).Sum(node => node.Inputs.Count(input => input == value) + node.Captures.Count(name => name == value))
        + graph.Outputs.Count(output => output.Name == value);

    // Before IR version 4 every initializer is an input, and none can be overridden.
    private bool IsOverridable(Graph graph, string name) => model.IrVersion >= 4 && graph.Inputs.Any(input => input.Name == name);

    private static int Positive(int axis, int? rank, Tensor tensor) => axis < 0 ? (rank ?? tensor.Dims.Length) + axis : axis;
}
