using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Which tokens of a call are steered, as a bool tensor that broadcasts over <c>[batch, tokens, channels]</c>.</summary>
internal static class PositionMask
{
    /// <summary>Adds the nodes of a mask of some positions. They depend on the graph's inputs alone.</summary>
    public static string Add(Ops ops, DecoderSignature signature, Positions positions)
    {
        if (ops.Opset < 12)
            throw new OnnxException($"Positions other than 'all' need opset 12 or newer; the model has {ops.Opset}.");
        const string hint = "onnxsteer.positions";
        var tokens = Tokens(ops, hint, signature);
        return positions switch
        {
            Positions.Last => Last(ops, hint, tokens, signature.AttentionMask),
            Positions.Prompt => ops.Reshape(hint, ops.Node(hint, "Greater", tokens, ops.Integers(1)), 1, 1, 1),
            _ => ops.Reshape(hint, ops.Node(hint, "Equal", tokens, ops.Integers(1)), 1, 1, 1),
        };
    }

    /// <summary>How many tokens a call has: int64 <c>[1]</c>.</summary>
    public static string Tokens(Ops ops, string hint, DecoderSignature signature) => Size(ops, hint, signature.InputIds);

    // The last real token is the last column whose mask is 1, counted from where this call's tokens begin. Where the cache
    // keeps short rows at the front (right padding), that column lies before this call's, and the only token is meant.
    private static string Last(Ops ops, string hint, string tokens, string? mask)
    {
        string zero = ops.Constant(hint, DataType.Float32, [], [0]), one = ops.Constant(hint, DataType.Float32, [], [1]);
        var count = ops.Reshape(hint, ops.Cast(hint, tokens, DataType.Float32), []);
        var columns = ops.Node(hint, "Range", zero, count, one);
        var last = ops.Node(hint, "Sub", count, one);
        if (mask is not null)
        {
            var total = ops.Reshape(hint, ops.Cast(hint, Size(ops, hint, mask), DataType.Float32), []);
            var numbers = ops.Node(hint, "Range", one, ops.Node(hint, "Add", total, one), one);
            var marked = ops.Node(hint, "Mul", ops.Cast(hint, mask, DataType.Float32), numbers);
            var behindLast = ops.Reduce(hint, "ReduceMax", marked, keep: true, 1);
            var inCall = ops.Node(hint, "Sub", ops.Node(hint, "Sub", behindLast, ops.Node(hint, "Sub", total, count)), one);
            last = ops.Reshape(hint, ops.Node(hint, "Max", inCall, zero), -1, 1, 1);
        }
        return ops.Node(hint, "Equal", ops.Reshape(hint, columns, 1, -1, 1), last);
    }

    private static string Size(Ops ops, string hint, string value) =>
        ops.Node(hint, "Gather", ops.Node(hint, "Shape", value), ops.Integers(1));
}
