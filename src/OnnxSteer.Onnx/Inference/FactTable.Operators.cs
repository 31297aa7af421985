using System.Collections.Immutable;

namespace OnnxSteer.Onnx.Inference;

// What each operator does to type, rank and last axis. Where a rule is not sure it says nothing.
public sealed partial class FactTable
{
    // Weights pass through a transpose and a dequantization, seldom more.
    private const int MaxWeightSteps = 8;

    private ValueFacts Infer(Node node, int output) => node.Domain is not ("" or "ai.onnx" or "com.microsoft") ? ValueFacts.Unknown : node.OpType switch
    {
        "Constant" => Constant(node),
        "ConstantOfShape" => new(node.Attribute("value")?.Tensor?.DataType ?? DataType.Float32, Elements(node, 0), null),
        "Shape" => new(DataType.Int64, 1, IsWhole(node) ? Input(node, 0).Rank : null),
        "Gather" => Gather(node),
        "GatherBlockQuantized" => Gather(node) is var facts ? new(Input(node, 2).DataType, facts.Rank, facts.LastDim * Packed(node)) : default,
        "MatMul" or "FusedMatMul" => MatMul(node),
        "MatMulInteger" => MatMul(node) with { DataType = DataType.Int32 },
        "MatMulNBits" => Last(Input(node, 0) with { LastDim = node.Attribute("N")?.Int }),
        "Gemm" or "FusedGemm" => new(Input(node, 0).DataType, 2, Columns(node) ?? (IsTransposed(node) ? null : Input(node, 1).LastDim)),
        "LayerNormalization" or "SimplifiedLayerNormalization" or "RMSNormalization" => output == 0 ? Normalized(node, 1) : ValueFacts.Unknown,
        "SkipLayerNormalization" or "SkipSimplifiedLayerNormalization" => output is 0 or 3 ? Normalized(node, 2) : ValueFacts.Unknown,
        "GroupQueryAttention" or "MultiHeadAttention" when output == 0 => new(Input(node, 0).DataType, 3, AttentionChannels(node)),
        "Attention" when output == 0 => Input(node, 0) with { LastDim = null },
        "Add" or "Sub" or "Mul" or "Div" or "Mod" or "Max" or "Min" or "Sum" or "Mean" or "BiasAdd" => Broadcast(node.Inputs),
        "Pow" => Broadcast(node.Inputs) with { DataType = Input(node, 0).DataType },
        "Where" => Broadcast(node.Inputs) with { DataType = Input(node, 1).Or(Input(node, 2)).DataType },
        "Equal" or "Greater" or "GreaterOrEqual" or "Less" or "LessOrEqual" or "And" or "Or" or "Xor" => Broadcast(node.Inputs) with { DataType = DataType.Bool },
        "Not" or "IsNaN" or "IsInf" => Input(node, 0) with { DataType = DataType.Bool },
        "Cast" => Input(node, 0) with { DataType = (DataType)(node.Attribute("to")?.Int ?? 0) },
        "DequantizeLinear" => Input(node, 0) with { DataType = Input(node, 1).DataType },
        "QuantizeLinear" => Input(node, 0) with { DataType = QuantizedType(node) },
        "DynamicQuantizeLinear" => output == 0 ? Input(node, 0) with { DataType = DataType.UInt8 } : new(output == 1 ? DataType.Float32 : DataType.UInt8, 0, null),
        "Reshape" => Reshape(node),
        "Expand" => new(Input(node, 0).DataType, Elements(node, 1) is { } sizes ? Max(sizes, Input(node, 0).Rank) : null, Input(node, 0).LastDim is > 1 and var size ? size : null),
        "Transpose" => Transpose(node),
        "Unsqueeze" => Unsqueeze(node),
        "Squeeze" => new(Input(node, 0).DataType, Axes(node) is { } axes ? Input(node, 0).Rank - axes.Count : null, null),
        "Slice" => Slice(node),
        "Concat" => Concat(node),
        "Split" => Split(node, output),
        "ReduceMean" or "ReduceSum" or "ReduceMax" or "ReduceMin" or "ReduceProd" or "ReduceL2" or "ReduceSumSquare" => Reduced(node),
        "Conv" or "FusedConv" or "ConvTranspose" or "NhwcConv" => Convolution(node),
        "ConvInteger" => Convolution(node) with { DataType = DataType.Int32 },
        "Resize" or "Upsample" or "MaxPool" or "AveragePool" or "GlobalAveragePool" => output == 0 ? Resized(node) : ValueFacts.Unknown,
        "Pad" or "Tile" => Resized(node) with { FirstChannels = null },
        "GroupNorm" => GroupNorm(node),
        "SkipGroupNorm" => output is 0 or 1 ? GroupNorm(node) : ValueFacts.Unknown,
        "InstanceNormalization" or "GroupNormalization" or "BatchNormalization" => output == 0 ? ChannelNorm(node) : ValueFacts.Unknown,
        "BiasSplitGelu" => Input(node, 0) with { LastDim = Input(node, 0).LastDim / 2 },
        "Identity" or "Dropout" or "Relu" or "Sigmoid" or "Tanh" or "Gelu" or "FastGelu" or "BiasGelu" or "QuickGelu" or "Erf" or "Sqrt" or "Neg" or "Abs" or "Exp"
            or "Log" or "Reciprocal" or "Softmax" or "LogSoftmax" or "Clip" or "LeakyRelu" or "Elu" or "HardSigmoid" or "HardSwish" or "Mish" or "Softplus" or "Swish"
            or "Silu" or "Sin" or "Cos" or "Round" or "Floor" or "Ceil" or "Sign" or "CumSum" or "Trilu" or "RotaryEmbedding" or "ScatterND" or "ScatterElements" => output == 0 ? Input(node, 0) : ValueFacts.Unknown,
        _ => ValueFacts.Unknown,
    };

    private ValueFacts Input(Node node, int index) => node.Input(index) is { } value ? FactsOf(value) : ValueFacts.Unknown;

    private static ValueFacts Constant(Node node) =>
        node.Attribute("value")?.Tensor is { } tensor ? Of(tensor)
        : node.Attribute("value_int") is not null ? new(DataType.Int64, 0, null)
        : node.Attribute("value_float") is not null ? new(DataType.Float32, 0, null)
        : node.Attribute("value_ints") is { } ints ? new(DataType.Int64, 1, ints.Ints.Count)
        : node.Attribute("value_floats") is { } floats ? new(DataType.Float32, 1, floats.Floats.Count)
        : ValueFacts.Unknown;

    // The integers that an input is known to hold.
    private IReadOnlyList<long>? Integers(Node node, int input) => node.Input(input) is { } name ? Integers(name) : null;

    private IReadOnlyList<long>? Integers(string name)
    {
        if (_graph.Constant(name) is { DataType: DataType.Int64, ElementCount: < 1000 } tensor)
            return tensor.ToInt64s();
        return _graph.Producer(name) is not { OpType: "Constant" } constant ? null
            : constant.Attribute("value_ints") is { } list ? list.Ints
            : constant.Attribute("value_int") is { } one ? [one.Int] : null;
    }

    // How many elements a list of sizes has, which is the rank of what is made by it.
    private int? Elements(Node node, int input) => Input(node, input) is { Rank: 1, LastDim: >= 0 and < 1000 and var count } ? (int)count : null;

    // Since opset 13 they are an input, before that an attribute.
    private IReadOnlyList<long>? Axes(Node node) => node.Attribute("axes")?.Ints ?? Integers(node, 1);

    private static bool IsLast(long axis, int? rank) => axis == -1 || axis == rank - 1;

    private static bool IsTransposed(Node node) => node.Attribute("transB")?.Int == 1;

    private ValueFacts Gather(Node node)
    {
        var (data, indices, axis) = (Input(node, 0), Input(node, 1), node.Attribute("axis")?.Int ?? node.Attribute("gather_axis")?.Int ?? 0);
        var rank = data.Rank - 1 + indices.Rank;
        return new(data.DataType, rank, data.Rank is { } all && all - 1 > axis && axis >= 0 ? data.LastDim : null);
    }

    // Eight bits may hold two elements.
    private long Packed(Node node) => Input(node, 0).DataType == DataType.UInt8 && (node.Attribute("bits")?.Int ?? 4) == 4 ? 2 : 1;

    private ValueFacts MatMul(Node node)
    {
        var (left, right) = (Input(node, 0), Input(node, 1));
        if (Columns(node) is { } columns)
            return Last(left with { LastDim = columns });
        // A vector's axis goes away; that is rare, and then nothing is said.
        var rank = left.Rank > 1 && right.Rank > 1 ? Max(left.Rank, right.Rank) : null;
        return new(left.DataType, rank, right.Rank > 1 && !IsTransposed(node) ? right.LastDim : null);
    }

    // The columns of a weight matrix that is the second input.
    private long? Columns(Node node) => WeightDims(node, 1) is { Length: 2 } dims ? dims[IsTransposed(node) ? 0 : 1] : null;

    // A Shape of all axes: optimizers write the default start out.
    private static bool IsWhole(Node shape) => shape.Attribute("end") is null && shape.Attribute("start") is null or { Int: 0 };

    private ValueFacts Normalized(Node node, int weight)
    {
        var facts = Input(node, 0);
        return Last(facts with { LastDim = WeightDims(node, weight) is [.., var channels] ? channels : facts.LastDim });
    }

    // What works along the last axis takes that for the channels.
    private static ValueFacts Last(ValueFacts facts) => facts.Layout == ImageLayout.ChannelsFirst ? new(facts.DataType, facts.Rank, facts.LastDim) : facts;

    // Packed queries, keys and values are as many heads side by side.
    private long? AttentionChannels(Node node)
    {
        var query = Input(node, 0);
        // Queries, keys and values as [batch, tokens, heads, 3, channels].
        if (query is { Rank: 5, LastDim: { } size })
            return node.Attribute("num_heads")?.Int * size;
        if (query.Rank != 3)
            return null;
        if (node.Input(1) is not null)
            return node.OpType == "GroupQueryAttention" ? query.LastDim : Input(node, 2) is { Rank: 3, LastDim: var values } ? values : null;
        var (heads, shared) = (node.Attribute("num_heads")?.Int, node.Attribute("kv_num_heads")?.Int);
        return heads > 0 && shared > 0 && query.LastDim % (heads + 2 * shared) == 0 ? query.LastDim / (heads + 2 * shared) * heads : null;
    }

    private DataType QuantizedType(Node node) =>
        node.Input(2) is { } zero ? FactsOf(zero).DataType : node.Attribute("output_dtype") is { Int: not 0 and var type } ? (DataType)type : DataType.UInt8;

    // Weights may come through a transpose or a dequantization of an initializer.
    private ImmutableArray<long>? WeightDims(Node node, int input, int steps = 0)
    {
        if (node.Input(input) is not { } name || steps > MaxWeightSteps)
            return null;
        if (_graph.Constant(name) is { } tensor)
            return tensor.Dims;
        return _graph.Producer(name) switch
        {
            { OpType: "Transpose" } transpose when WeightDims(transpose, 0, steps + 1) is { Length: 2 } dims => [dims[1], dims[0]],
            { OpType: "DequantizeLinear" or "Cast" } wrapper => WeightDims(wrapper, 0, steps + 1),
            _ => null,
        };
    }

    private ValueFacts Broadcast(ImmutableArray<string> inputs)
    {
        var result = ValueFacts.Unknown;
        var (isRankKnown, isSizeKnown) = (true, true);
        foreach (var name in inputs)
        {
            if (name.Length == 0)
                continue;
            var facts = FactsOf(name);
            isRankKnown &= facts.Rank is not null;
            isSizeKnown &= facts.LastDim is not null || facts.Rank == 0;
            result = new(result.DataType == DataType.Undefined ? facts.DataType : result.DataType, Max(result.Rank, facts.Rank),
                facts.LastDim is > 1 ? facts.LastDim : result.LastDim ?? facts.LastDim);
        }
        // A size of 1 on one side says nothing while the other is unknown.
        return BroadcastImage(inputs, new(result.DataType, isRankKnown ? result.Rank : null, result.LastDim == 1 && !isSizeKnown ? null : result.LastDim));
    }

    private ValueFacts Reshape(Node node) => Unfolded(node, ReshapeBySizes(node));

    private ValueFacts ReshapeBySizes(Node node)
    {
        var type = Input(node, 0).DataType;
        if (node.Input(1) is { } name && _graph.Producer(name) is { OpType: "Shape" } shape && IsWhole(shape))
            return Input(shape, 0) with { DataType = type };
        return Sizes(node.Input(1)) is { Length: > 0 } sizes ? new(type, sizes.Length, LastOf(node, sizes)) : new(type, Elements(node, 1), null);
    }

    private ValueFacts Transpose(Node node)
    {
        var (facts, dims) = (Input(node, 0), WeightDims(node, 0));
        if (node.Attribute("perm")?.Ints is not { Count: > 0 } perm)
            return new(facts.DataType, facts.Rank, dims is [var first, ..] ? first : null);
        var (layout, channels) = Permuted(facts, perm);
        return new(facts.DataType, perm.Count,
            perm[^1] == perm.Count - 1 ? facts.LastDim : layout == ImageLayout.ChannelsLast ? facts.Channels : perm[^1] >= 0 && perm[^1] < dims?.Length ? dims.Value[(int)perm[^1]] : null,
            layout, channels);
    }

    private ValueFacts Unsqueeze(Node node)
    {
        var facts = Input(node, 0);
        if (Axes(node) is not { } axes)
            return new(facts.DataType, null, null);
        var rank = facts.Rank + axes.Count;
        return new(facts.DataType, rank, axes.Any(axis => IsLast(axis, rank)) ? 1 : axes.All(axis => axis >= 0 && axis < rank) ? facts.LastDim : null);
    }

    private ValueFacts Slice(Node node)
    {
        var facts = Input(node, 0);
        var axes = node.Attribute("axes")?.Ints ?? Integers(node, 3);
        if (axes?.Any(axis => IsChannelAxis(axis, facts)) != false)
            facts = facts with { FirstChannels = null };
        if (axes is null || facts is not { Rank: { } rank, LastDim: var size })
            return facts with { LastDim = null };
        if (axes.All(axis => axis >= 0 ? axis < rank - 1 : axis < -1))
            return facts;
        var isPlain = axes.Count == 1 && IsLast(axes[0], rank) && (node.Input(4) is null || Size(node.Input(4)) == 1);
        return facts with { LastDim = isPlain && From(Size(node.Input(1))) is { } start && From(Size(node.Input(2))) is { } end ? Math.Max(0, end - start) : null };

        // From the front; negative numbers count from the back.
        long? From(long? index) => index is null || size is null ? null : Math.Clamp(index < 0 ? index.Value + size.Value : index.Value, 0, Math.Max(0, size.Value));
    }

    private ValueFacts Concat(Node node)
    {
        var inputs = node.Inputs.Where(name => name.Length > 0).Select(FactsOf).ToList();
        var merged = inputs.Aggregate(ValueFacts.Unknown, (all, facts) => all.Or(facts));
        if (node.Attribute("axis") is not { Int: var axis } || (merged.Rank is null && axis != -1))
            return merged with { LastDim = null };
        if (IsChannelAxis(axis, merged))
            return merged with { FirstChannels = inputs.TrueForAll(facts => facts.FirstChannels is not null) ? inputs.Sum(facts => facts.FirstChannels) : null };
        if (!IsLast(axis, merged.Rank))
            return axis >= 0 ? merged : merged with { LastDim = null };
        return merged with { LastDim = inputs.TrueForAll(facts => facts.LastDim is not null) ? inputs.Sum(facts => facts.LastDim) : null };
    }

    private ValueFacts Split(Node node, int output)
    {
        var facts = Input(node, 0);
        var axis = node.Attribute("axis")?.Int ?? 0;
        var sizes = node.Attribute("split")?.Ints ?? Integers(node, 1);
        // Sizes that come in while the model runs need not be equal.
        var isEven = sizes is null && node.Input(1) is null;
        long? Part(long? size) => output < sizes?.Count ? sizes[output] : isEven && size % node.Outputs.Length == 0 ? size / node.Outputs.Length : null;
        if (IsChannelAxis(axis, facts))
            return facts with { FirstChannels = Part(facts.FirstChannels) };
        if (!IsLast(axis, facts.Rank))
            return facts.Rank is not null && axis >= 0 ? facts : facts with { LastDim = null };
        return facts with { LastDim = Part(facts.LastDim) };
    }

    private ValueFacts Reduced(Node node)
    {
        var facts = Input(node, 0);
        if (node.Attribute("keepdims")?.Int is null or 1)
            return new(facts.DataType, facts.Rank, null);
        return new(facts.DataType, Axes(node) is { Count: > 0 } axes ? facts.Rank - axes.Count : null, null);
    }

    private static int? Max(int? a, int? b) => a is null ? b : b is null ? a : Math.Max(a.Value, b.Value);
}
