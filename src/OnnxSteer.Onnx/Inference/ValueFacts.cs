using System.Collections.Immutable;

namespace OnnxSteer.Onnx.Inference;

/// <summary>What is known of a tensor value without running the model.</summary>
/// <param name="DataType">Element type; undefined where unknown.</param>
/// <param name="Rank">Number of axes, or null where unknown.</param>
/// <param name="LastDim">Size of the last axis, or null where unknown or dynamic.</param>
public readonly record struct ValueFacts(DataType DataType, int? Rank, long? LastDim)
{
    /// <summary>Nothing is known.</summary>
    public static ValueFacts Unknown { get; }

    /// <summary>These facts, and where they know nothing, others.</summary>
    public ValueFacts Or(ValueFacts other) =>
        new(DataType == DataType.Undefined ? other.DataType : DataType, Rank ?? other.Rank, LastDim ?? other.LastDim);
}

/// <summary>
/// Infers facts of all values of a graph from its weights and operators, in file order and again for unsorted graphs.
/// What a graph states of its values is believed only where inference knows nothing: exporters write wrong annotations.
/// </summary>
public sealed class FactTable
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
        for (var pass = 0; pass < MaxPasses && table.Pass(); pass++)
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
            for (var i = 0; i < node.Outputs.Length; i++)
            {
                if (node.Output(i) is not { } value)
                    continue;
                var facts = Infer(node, i);
                if (_graph.Info(value) is { } info)
                    facts = facts.Or(Of(info));
                if (_facts.TryGetValue(value, out var known) && known == facts)
                    continue;
                _facts[value] = facts;
                changed |= facts != ValueFacts.Unknown;
            }
        return changed;
    }

    private ValueFacts Infer(Node node, int output) => node.OpType switch
    {
        "Constant" => node.Attribute("value")?.Tensor is { } tensor ? Of(tensor) : ValueFacts.Unknown,
        "Gather" when (node.Attribute("axis")?.Int ?? 0) == 0 => Gather(node),
        "MatMul" or "FusedMatMul" => WithWeights(node, WeightDims(node, 1) is { Length: 2 } dims ? dims[node.Attribute("transB")?.Int == 1 ? 0 : 1] : null),
        "Gemm" => new(Input(node, 0).DataType, 2, WeightDims(node, 1) is { Length: 2 } dims ? dims[node.Attribute("transB")?.Int == 1 ? 0 : 1] : null),
        "MatMulNBits" => WithWeights(node, node.Attribute("N")?.Int),
        "MatMulInteger" => WithWeights(node, WeightDims(node, 1) is { Length: 2 } dims ? dims[1] : null) with { DataType = DataType.Int32 },
        "LayerNormalization" or "SimplifiedLayerNormalization" or "RMSNormalization" => output == 0 ? Like(node, 0, WeightDims(node, 1)) : ValueFacts.Unknown,
        "SkipLayerNormalization" or "SkipSimplifiedLayerNormalization" => output is 0 or 3 ? Like(node, 0, WeightDims(node, 2)) : ValueFacts.Unknown,
        "GroupQueryAttention" or "MultiHeadAttention" or "Attention" when output == 0 => Input(node, 0) with { LastDim = null },
        "Add" or "Sub" or "Mul" or "Div" or "Pow" or "Max" or "Min" or "Sum" => Broadcast(node.Inputs),
        "Where" => Broadcast(node.Inputs.Skip(1)),
        "Cast" => Input(node, 0) with { DataType = (DataType)(node.Attribute("to")?.Int ?? 0) },
        "DequantizeLinear" => Input(node, 0) with { DataType = Input(node, 1).DataType },
        "QuantizeLinear" => Input(node, 0) with { DataType = node.Input(2) is { } zero ? this[zero].DataType : DataType.UInt8 },
        "Split" => Input(node, 0) with { LastDim = null },
        "Reshape" => Reshape(node),
        "Transpose" => Transpose(node),
        "Identity" or "Dropout" or "Relu" or "Sigmoid" or "Tanh" or "Gelu" or "FastGelu" or "BiasGelu" or "QuickGelu" or "Erf" or "Sqrt" or "Neg" or "Abs"
            or "Exp" or "Log" or "Reciprocal" or "Softmax" or "Clip" or "LeakyRelu" or "Elu" or "HardSigmoid" or "HardSwish" or "Mish" or "Softplus"
            or "Swish" or "Silu" or "RotaryEmbedding" => output == 0 ? Input(node, 0) : ValueFacts.Unknown,
        _ => ValueFacts.Unknown,
    };

    private ValueFacts Input(Node node, int index) => node.Input(index) is { } value ? this[value] : ValueFacts.Unknown;

    private ValueFacts Gather(Node node)
    {
        var (data, indices) = (Input(node, 0), Input(node, 1));
        return new(data.DataType, data.Rank - 1 + indices.Rank, data.Rank >= 2 ? data.LastDim : null);
    }

    private ValueFacts WithWeights(Node node, long? channels) => Input(node, 0) with { LastDim = channels };

    private ValueFacts Like(Node node, int input, ImmutableArray<long>? weight)
    {
        var facts = Input(node, input);
        return facts with { LastDim = weight is [.., var channels] ? channels : facts.LastDim };
    }

    // Weights may come through a transpose or a dequantization of an initializer.
    private ImmutableArray<long>? WeightDims(Node node, int input)
    {
        if (node.Input(input) is not { } name)
            return null;
        if (_graph.Constant(name) is { } tensor)
            return tensor.Dims;
        return _graph.Producer(name) switch
        {
            { OpType: "Transpose" } transpose when WeightDims(transpose, 0) is { Length: 2 } dims => [dims[1], dims[0]],
            { OpType: "DequantizeLinear" or "Cast" } wrapper => WeightDims(wrapper, 0),
            _ => null,
        };
    }

    private ValueFacts Broadcast(IEnumerable<string> inputs)
    {
        var result = ValueFacts.Unknown;
        var isRankKnown = true;
        foreach (var facts in inputs.Where(name => name.Length > 0).Select(name => this[name]))
        {
            isRankKnown &= facts.Rank is not null;
            result = new(result.DataType == DataType.Undefined ? facts.DataType : result.DataType, Max(result.Rank, facts.Rank),
                facts.LastDim is > 1 ? facts.LastDim : result.LastDim ?? facts.LastDim);
        }
        // A size of 1 on one side says nothing while the other is unknown.
        return new(result.DataType, isRankKnown ? result.Rank : null, result.LastDim == 1 ? null : result.LastDim);
    }

    private ValueFacts Reshape(Node node)
    {
        var type = Input(node, 0).DataType;
        if (node.Input(1) is not { } shape)
            return new(type, null, null);
        if (_graph.Constant(shape) is { } tensor && tensor.DataType.Bits() == 64 && tensor.Dims.Length == 1)
        {
            var sizes = tensor.ToInt64s();
            return new(type, sizes.Length, sizes is [.., > 0 and var size] ? size : null);
        }
        if (_graph.Producer(shape) is { OpType: "Concat" } concat)
        {
            var rank = concat.Inputs.Sum(input => _graph.Constant(input)?.ElementCount ?? 1);
            var last = _graph.Constant(concat.Inputs is [.., var name] ? name : "") is { DataType: DataType.Int64 } constant ? constant.ToInt64s() : null;
            return new(type, (int)rank, last is [.., > 0 and var lastSize] ? lastSize : null);
        }
        return new(type, null, null);
    }

    private ValueFacts Transpose(Node node)
    {
        var facts = Input(node, 0);
        if (node.Attribute("perm")?.Ints is not { Count: > 0 } perm)
            return _graph.Initializer(node.Input(0) ?? "") is { Dims: [var rows, _] } ? new(facts.DataType, 2, rows) : facts with { LastDim = null };
        return new(facts.DataType, perm.Count, perm[^1] == perm.Count - 1 ? facts.LastDim
            : _graph.Initializer(node.Input(0) ?? "") is { } tensor && perm[^1] >= 0 && perm[^1] < tensor.Dims.Length ? tensor.Dims[(int)perm[^1]] : null);
    }

    private static int? Max(int? a, int? b) => a is null ? b : b is null ? a : Math.Max(a.Value, b.Value);

    private static ValueFacts Of(Tensor tensor) => new(tensor.DataType, tensor.Dims.Length, tensor.Dims is [.., var last] ? last : null);

    private static ValueFacts Of(ValueInfo info) => new(info.DataType, info.Dims?.Length, info.Dims is [.., var last] ? last : null);
}
