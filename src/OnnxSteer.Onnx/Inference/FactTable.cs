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
    private readonly Dictionary<string, ValueFacts> _facts = [];
    private readonly bool[] _isMet;

    // While a node's outputs are inferred, all that it needs is known already, save in a circle; then nothing is said.
    private bool _isInferring;

    internal FactTable(Graph graph)
    {
        (_graph, _outer) = (graph, graph.Outer?.Facts);
        _lock = _outer?._lock ?? new Lock();
        _isMet = new bool[graph.Nodes.Length];
    }

    /// <summary>The facts of a graph's values; of captured ones, those of the graph around it.</summary>
    public static FactTable Of(Graph graph) => graph.Facts;

    /// <summary>What is known of a value.</summary>
    public ValueFacts this[string value]
    {
        get
        {
            lock (_lock)
            {
                if (_facts.TryGetValue(value, out var facts))
                    return facts;
                if (_graph.Producer(value) is { } node)
                {
                    if (_isInferring)
                        return Stated(value);
                    InferUpTo(node);
                    return _facts.GetValueOrDefault(value);
                }
                if (_graph.Initializer(value) is { } tensor)
                    return Of(tensor);
                return _graph.Defines(value) || _outer is null ? Stated(value) : _outer[value].Or(Stated(value));
            }
        }
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
                    if (!_facts.ContainsKey(name) && _graph.Producer(name) is { } before)
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
                if (!(facts is { DataType: not DataType.Undefined, Rank: not null, LastDim: not null }))
                    facts = facts.Or(Stated(value));
                _facts[value] = facts is { LastDim: null } ? facts with { LastDim = LastRead(value, facts) } : facts;
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
