using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>Nodes that pool values over the real tokens of each row of a call, in float32; masks and counts are shared.</summary>
/// <param name="ops">Takes the nodes.</param>
/// <param name="signature">The model's inputs.</param>
/// <param name="pooling">How tokens are pooled.</param>
/// <param name="isChosen">Whether the input <see cref="SiteTaps.PooledTokens"/> says which tokens count; else all real ones do.</param>
internal sealed class TokenPooling(Ops ops, DecoderSignature signature, Pooling pooling, bool isChosen = false)
{
    private const string Hint = "onnxsteer.pool";
    private string? _mask, _count, _fill;

    /// <summary>Declares the input that says which tokens count.</summary>
    public static Edit ChosenInput { get; } = new AddInput("pooling", new ValueInfoProto
    {
        Name = SiteTaps.PooledTokens,
        Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Bool, Shape = new TensorShapeProto { Dim = { Axis("onnxsteer_rows"), Axis("onnxsteer_tokens") } } } },
    });

    /// <summary>Pools <c>[batch, tokens, channels]</c>, or <c>[batch*tokens, channels]</c> of rank 2, to float32 <c>[batch, channels]</c>.</summary>
    public string Add(string value, DataType type, int? rank)
    {
        var z = type == DataType.Float32 ? value : ops.Cast(Hint, value, DataType.Float32);
        if (rank == 2)
            z = Rows(z);
        // A select, since a product with 0 keeps infinities and NaN of padding.
        if (Mask() is { } mask)
            z = ops.Node(Hint, "Where", mask, z, _fill ??= ops.Constant(Hint, DataType.Float32, [], [Fill]));
        return pooling switch
        {
            Pooling.Min => ops.Reduce(Hint, "ReduceMin", z, keep: false, 1),
            Pooling.Max => ops.Reduce(Hint, "ReduceMax", z, keep: false, 1),
            Pooling.Last => ops.Reduce(Hint, "ReduceSum", z, keep: false, 1),
            _ when Mask() is null => ops.Reduce(Hint, "ReduceMean", z, keep: false, 1),
            _ => ops.Node(Hint, "Div", ops.Reduce(Hint, "ReduceSum", z, keep: false, 1), Count()),
        };
    }

    private double Fill => pooling switch { Pooling.Min => float.MaxValue, Pooling.Max => float.MinValue, _ => 0 };

    private string Rows(string value) =>
        ops.Node(Hint, "Reshape", value, ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Shape", signature.InputIds), ops.Integers(-1)], Ops.Int("axis", 0)));

    // Which tokens count: bool [batch, tokens, 1]; null for all. Reshape's 0 keeps an axis as it is.
    private string? Mask() => _mask ??= (pooling, isChosen, signature.AttentionMask) switch
    {
        (Pooling.Last, true, _) => PositionMask.Last(ops, signature, SiteTaps.PooledTokens),
        (Pooling.Last, false, var mask) => PositionMask.Last(ops, signature, mask),
        (_, true, _) => ops.Reshape(Hint, SiteTaps.PooledTokens, 0, -1, 1),
        (_, false, { } mask) => ops.Cast(Hint, ops.Reshape(Hint, OfCall(mask), 0, -1, 1), DataType.Bool),
        _ => null,
    };

    private string Count() => _count ??= ops.Reduce(Hint, "ReduceSum", ops.Cast(Hint, Mask()!, DataType.Float32), keep: false, 1);

    // The mask of this call's tokens [batch, tokens]: the last columns. The only token of a call is real, though a cache
    // that keeps short rows at the front has its column further left.
    private string OfCall(string mask)
    {
        if (signature.Cache.IsEmpty)
            return mask;
        var tokens = PositionMask.Tokens(ops, Hint, signature);
        var columns = ops.Node(Hint, "Slice", mask, ops.Node(Hint, "Neg", tokens), ops.Integers(int.MaxValue), ops.Integers(1));
        var single = ops.Cast(Hint, ops.Node(Hint, "Equal", tokens, ops.Integers(1)), DataType.Float32);
        return ops.Node(Hint, "Max", ops.Cast(Hint, columns, DataType.Float32), single);
    }

    private static TensorShapeProto.Types.Dimension Axis(string name) => new() { DimParam = name };
}
