namespace OnnxSteer;

/// <summary>Sees rows of tokens as rows of the batch.</summary>
/// <param name="ops">Nodes that run before all others.</param>
/// <param name="inputIds">The token ids, <c>[batch, tokens]</c>; null for a model without, where every row is one of the batch.</param>
internal sealed class BatchRows(Ops ops, string? inputIds)
{
    private const string Hint = "onnxsteer.rows";
    private readonly Dictionary<int, string> _shapes = [];

    /// <summary>The shape <c>[batch, tokens, channels]</c> of values with that many channels, as a name in the graph.</summary>
    public string Shape(int channels)
    {
        if (!_shapes.TryGetValue(channels, out var shape))
            _shapes[channels] = shape = inputIds is null ? ops.Integers(-1, 1, channels)
                : ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Gather", ops.Node(Hint, "Shape", inputIds), ops.Integers(0)), ops.Integers(-1, channels)], Ops.Int("axis", 0));
        return shape;
    }
}
