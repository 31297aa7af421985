namespace OnnxSteer.Onnx.Inference;

/// <summary>
/// Infers facts of all values of a graph from its weights and operators, in file order and again for unsorted graphs.
/// What a graph states of its values is believed only where inference knows nothing: exporters write wrong annotations.
/// </summary>
public sealed partial class FactTable
{
    private const int MaxPasses = 4;

    private readonly Graph _graph;
    private readonly FactTable? _outer;
    private readonly Dictionary<string, ValueFacts> _facts = [];

    private FactTable(Graph graph, FactTable? outer) => (_graph, _outer) = (graph, outer);

    /// <summary>Infers the facts of a graph's values.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="outer">Facts of the graph around it, for captured values.</param>
    public static FactTable Of(Graph graph, FactTable? outer = null)
    {
        var table = new FactTable(graph, outer);
        var isSorted = graph.Nodes.All(node => node.Inputs.All(name => !(graph.Producer(name)?.Index > node.Index)));
        for (var pass = 0; pass < (isSorted ? 1 : MaxPasses) && table.Pass(); pass++)
        {
        }
        return table;
    }

    /// <summary>What is known of a value.</summary>
    public ValueFacts this[string value]
    {
        get
        {
            if (_facts.TryGetValue(value, out var facts))
                return facts;
            if (_graph.Initializer(value) is { } tensor)
                return Of(tensor);
            if (_graph.Info(value) is { } info)
                return Of(info);
            return _graph.Defines(value) || _outer is null ? ValueFacts.Unknown : _outer[value];
        }
    }

    private bool Pass()
    {
        var changed = false;
        foreach (var node in _graph.Nodes)
        {
            // What a matrix product reads has as many channels as the matrix has rows.
            if (Rows(node) is { } rows)
                for (var data = node.Input(0); data is not null && this[data] is { LastDim: null } known; data = _graph.Producer(data) is { } maker && KeepsShape(maker) ? maker.Input(0) : null)
                    _facts[data] = known with { LastDim = rows };
            for (var i = 0; i < node.Outputs.Length; i++)
            {
                if (node.Output(i) is not { } value)
                    continue;
                var facts = Infer(node, i);
                if (_graph.Info(value) is { } info)
                    facts = facts.Or(Of(info));
                if (_facts.TryGetValue(value, out var before) && before == facts)
                    continue;
                _facts[value] = facts;
                changed |= facts != ValueFacts.Unknown;
            }
        }
        return changed;
    }

    private static ValueFacts Of(Tensor tensor) => new(tensor.DataType, tensor.Dims.Length, tensor.Dims is [.., var last] ? last : null);

    private static ValueFacts Of(ValueInfo info) => new(info.DataType, info.Dims?.Length, info.Dims is [.., var last] ? last : null);
}
