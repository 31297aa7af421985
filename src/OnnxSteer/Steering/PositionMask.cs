using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Which tokens of a call are steered, as a bool tensor that broadcasts over <c>[batch, tokens, channels]</c>.</summary>
internal static class PositionMask
{
    private const string Hint = "onnxsteer.positions";

    /// <summary>Adds the nodes of a mask of some positions. They depend on the graph's inputs alone.</summary>
    /// <param name="ops">Takes the nodes.</param>
    /// <param name="signature">The model's inputs.</param>
    /// <param name="positions">Which tokens.</param>
    /// <param name="skipFirst">Whether the first real token of each sequence is left out.</param>
    /// <returns>The mask's name; null where every token is steered.</returns>
    public static string? Add(Ops ops, DecoderSignature signature, Positions positions, bool skipFirst = false)
    {
        if (positions == Positions.All)
            return skipFirst ? NotFirst(ops, signature) : null;
        var mask = positions switch
        {
            Positions.Last => Last(ops, signature, signature.AttentionMask),
            Positions.Prompt => ops.Reshape(Hint, ops.Node(Hint, "Greater", CountOf(ops, signature), ops.Integers(1)), 1, 1, 1),
            _ => ops.Reshape(Hint, ops.Node(Hint, "Equal", CountOf(ops, signature), ops.Integers(1)), 1, 1, 1),
        };
        return skipFirst ? ops.Node(Hint, "And", mask, NotFirst(ops, signature)) : mask;
    }

    /// <summary>How many tokens a call has: int64 <c>[1]</c>.</summary>
    public static string Tokens(Ops ops, string hint, DecoderSignature signature) => Size(ops, hint, signature.InputIds);

    /// <summary>
    /// The last token that a mask marks, of each row: bool <c>[batch, tokens, 1]</c>. The mask covers the past as well, or the call
    /// alone; without one it is the last column.
    /// </summary>
    // The last marked column, counted from where this call's tokens begin. Where the cache keeps short rows at the front (right
    // padding), that column lies before this call's, and the only token is meant.
    public static string Last(Ops ops, DecoderSignature signature, string? mask)
    {
        var call = new CallColumns(ops, CountOf(ops, signature));
        if (mask is null)
            return call.Are(call.Minus(call.Count, call.One));
        var total = call.Number(Size(ops, Hint, mask));
        var behindLast = call.Largest(mask, ops.Node(Hint, "Range", call.One, call.Plus(total, call.One), call.One));
        var inCall = call.Minus(call.Minus(behindLast, call.Minus(total, call.Count)), call.One);
        return call.Are(call.Column(ops.Node(Hint, "Max", inCall, call.Zero)));
    }

    // All but the first real token of each row. A row begins in this call if the mask, which covers the past as well, marks no
    // more tokens than the call has: any past would add to them, however wide the mask is.
    private static string NotFirst(Ops ops, DecoderSignature signature)
    {
        var call = new CallColumns(ops, CountOf(ops, signature));
        if (signature.AttentionMask is { } mask)
        {
            var total = call.Number(Size(ops, Hint, mask));
            var fromFirst = call.Largest(mask, ops.Node(Hint, "Range", total, call.Zero, ops.Node(Hint, "Neg", call.One)));
            var isFirst = call.Are(call.Column(call.Minus(total, fromFirst)));
            var real = call.Column(ops.Reduce(Hint, "ReduceSum", ops.Cast(Hint, mask, DataType.Float32), keep: true, 1));
            return ops.Node(Hint, "Or", ops.Node(Hint, "Not", isFirst), ops.Node(Hint, "Greater", real, call.Count));
        }
        // Without a mask no row is filled up, and a past is as long as the cache.
        var past = signature.Cache is [var cache, ..] ? call.Number(ops.Node(Hint, "Gather", ops.Node(Hint, "Shape", cache.Past), ops.Integers(2))) : call.Zero;
        return ops.Node(Hint, "Not", call.Are(ops.Node(Hint, "Neg", past)));
    }

    private static string CountOf(Ops ops, DecoderSignature signature) => ops.Opset >= 12 ? Tokens(ops, Hint, signature)
        : throw new OnnxException($"Steering or pooling some tokens only needs opset 12 or newer; the model has {ops.Opset}.");

    private static string Size(Ops ops, string hint, string value) =>
        ops.Node(hint, "Gather", ops.Node(hint, "Shape", value), ops.Integers(1));

    // Columns of a call and arithmetic with them, in float32, which every runtime has all of these operators for.
    private sealed class CallColumns(Ops ops, string tokens)
    {
        public string Zero { get; } = ops.Constant(Hint, DataType.Float32, [], [0]);

        public string One { get; } = ops.Constant(Hint, DataType.Float32, [], [1]);

        /// <summary>How many there are.</summary>
        public string Count { get; } = ops.Reshape(Hint, ops.Cast(Hint, tokens, DataType.Float32), []);

        public string Number(string integer) => ops.Reshape(Hint, ops.Cast(Hint, integer, DataType.Float32), []);

        public string Plus(string a, string b) => ops.Node(Hint, "Add", a, b);

        public string Minus(string a, string b) => ops.Node(Hint, "Sub", a, b);

        /// <summary>The largest of the numbers that a mask marks in each row, <c>[batch, 1]</c>; 0 where it marks none.</summary>
        public string Largest(string mask, string numbers) =>
            ops.Reduce(Hint, "ReduceMax", ops.Node(Hint, "Mul", ops.Cast(Hint, mask, DataType.Float32), numbers), keep: true, 1);

        public string Column(string row) => ops.Reshape(Hint, row, -1, 1, 1);

        /// <summary>Which columns have a number, bool <c>[batch, tokens, 1]</c>.</summary>
        public string Are(string number) => ops.Node(Hint, "Equal", ops.Reshape(Hint, ops.Node(Hint, "Range", Zero, Count, One), 1, -1, 1), number);
    }
}
