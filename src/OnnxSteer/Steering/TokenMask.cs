using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>
/// Which tokens a map steers, as a bool tensor <c>[batch, tokens, 1]</c> or what broadcasts to it, and the forms of it that values of
/// other ranks need. Each form is made once.
/// </summary>
/// <param name="ops">Where the forms go: behind what makes the mask.</param>
/// <param name="mask">The mask's name.</param>
/// <param name="inputIds">The token ids, <c>[batch, tokens]</c>.</param>
internal sealed class TokenMask(Ops ops, string mask, string inputIds)
{
    private const string Hint = "onnxsteer.mask";
    private const int MaxSteps = 16;
    private readonly Dictionary<(int Rank, long Heads), string> _forms = [];

    /// <summary>The mask in the form that broadcasts over a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="seenAsRows">Whether a value <c>[batch*tokens, channels]</c> is seen as <c>[batch, tokens, channels]</c>.</param>
    /// <exception cref="OnnxException">The value's rank is unknown, or it has no tokens' axis.</exception>
    public string For(SteeredValue value, bool seenAsRows = false)
    {
        if ((seenAsRows ? 3 : value.Rank) is not (>= 2 and { } rank) || value.TrailingAxes > 0)
            throw new OnnxException($"{value.Place.At} cannot be steered at some tokens only: its axes are not known to be [batch, tokens, .., channels] (rank {value.Rank?.ToString() ?? "unknown"}, channels at axis {value.ChannelAxis}). Steer all positions.");
        var heads = rank <= 3 ? HeadsPerToken(value) : 1;
        if (!_forms.TryGetValue((rank, heads), out var form))
            _forms[(rank, heads)] = form = (rank, heads) switch
            {
                (3, 1) => mask,
                (2 or 3, _) => ops.Reshape(Hint, ops.Node(Hint, "Expand", mask, Sizes(heads)), rank == 2 ? [-1, 1] : [0, -1, 1]),
                _ => ops.Reshape(Hint, mask, [0, 0, .. Enumerable.Repeat(1L, rank - 2)]),
            };
        return form;
    }

    // How many rows a token has: 1, or the heads of a norm that works on [batch, tokens*heads, channels], as the query norms of
    // some exporters do.
    private static long HeadsPerToken(SteeredValue value)
    {
        var facts = FactTable.Of(value.Node.Graph);
        // Through norms and what else keeps the shape, up to the reshape that made heads rows.
        var node = value.Node;
        for (var step = 0; step < MaxSteps && node?.Input(0) is { } source; step++)
        {
            if (node.Is("Reshape"))
                return facts[source] is { Rank: 2 or 3, LastDim: { } all } && all > value.Width && all % value.Width == 0 ? all / value.Width : 1;
            if (facts[source].LastDim != value.Width)
                return 1;
            node = value.Node.Graph.Producer(source);
        }
        return 1;
    }

    // [batch, tokens, heads]
    private string Sizes(long heads) => ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Shape", inputIds), ops.Integers(heads)], Ops.Int("axis", 0));
}
