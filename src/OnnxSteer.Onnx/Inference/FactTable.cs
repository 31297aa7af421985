namespace OnnxSteer.Onnx.Inference;

/// <summary>
/// Facts of the values of a graph, inferred from its weights and operators when they are asked for, each once. What a graph
/// states of its values is believed only where inference knows nothing: exporters write wrong annotations.
/// </summary>
public sealed partial class FactTable
{
    private readonly Graph _graph;
    private readonly FactTable? _outer;
    private readonly Lock _lock;
    private readonly bool[] _isMet;

    // By node: where the facts of its outputs begin.
    private readonly int[] _outputs;
    private readonly (ValueFacts Facts, bool IsKnown)[] _facts;

    // While a node's outputs are inferred, all that it needs is known already, save in a circle; then nothing is said.
    private bool _isInferring;

    internal FactTable(Graph graph)
    {
        (_graph, _outer) = (graph, graph.Outer?.Facts);
        _lock = _outer?._lock ?? new Lock();
        (_isMet, _outputs) = (new bool[graph.Nodes.Length], new int[graph.Nodes.Length + 1]);
        foreach (var node in graph.Nodes)
            _outputs[node.Index + 1] = _outputs[node.Index] + node.Outputs.Length;
        _facts = new (ValueFacts, bool)[_outputs[^1]];
    }

    /// <summary>The facts of a graph's values; of captured ones, those of the graph around it.</summary>
    public static FactTable Of(Graph graph) => graph.Facts;

    /// <summary>What is known of a value.</summary>
    public ValueFacts this[string value]
    {
        get
        {
            lock (_lock)
                return FactsOf(value);
        }
    }

    private ValueFacts FactsOf(string value)
    {
        if (_graph.Producer(value) is { } node)
        {
            ref var entry = ref _facts[_outputs[node.Index] + node.Outputs.IndexOf(value)];
            if (!entry.IsKnown && _isInferring)
                return Stated(value);
            if (!entry.IsKnown)
                InferUpTo(node);
            return entry.Facts;
        }
        if (_graph.Initializer(value) is { } tensor)
            return Of(tensor);
        return _outer is null || _graph.Defines(value) ? Stated(value) : _outer.FactsOf(value).Or(Stated(value));
    }

    // With what the node needs first, and what that needs; on a stack of its own, since graphs are deeper than the thread's.
    private void InferUpTo(Node last)
    {
        var path = new Stack<(Node Node, bool IsReady)>([(last, false)]);
        while (path.TryPop(out var step))
            if (step.IsReady)
                Infer(step.Node);
            else if (!_isMet[step.Node.Index])
            {
                _isMet[step.Node.Index] = true;
                path.Push((step.Node, true));
                foreach (var name in step.Node.Needs)
                    if (_graph.Producer(name) is { } before && !_isMet[before.Index])
                        path.Push((before, false));
            }
    }

    private void Infer(Node node)
    {
        var wasInferring = _isInferring;
        _isInferring = true;
        try
        {
            for (var i = 0; i < node.Outputs.Length; i++)
            {
                if (node.Output(i) is not { } value)
                    continue;
                var facts = Infer(node, i);
                // A number has no axis to state anything of.
                if (!(facts is { DataType: not DataType.Undefined, Rank: 0 } or { DataType: not DataType.Undefined, Rank: not null, LastDim: not null }))
                    facts = facts.Or(Stated(value));
                _facts[_outputs[node.Index] + i] = (facts is { LastDim: null } ? facts with { LastDim = LastRead(value, facts) } : facts, true);
            }
        }
        finally
        {
            _isInferring = wasInferring;
        }
    }

    private ValueFacts Stated(string value) => _graph.Info(value) is { } info ? Of(info) : ValueFacts.Unknown;

    private static ValueFacts Of(Tensor tensor) => new(tensor.DataType, tensor.Dims.Length, tensor.Dims is [.., var last] ? last : null);

    private static ValueFacts Of(ValueInfo info) => info.TensorType is var (type, dims) ? new(type, dims?.Length, dims is [.., var last] ? last : null) : default;
}
