using OnnxSteer.Onnx;

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
    private readonly TokenAxis _tokens = new();
    private readonly Dictionary<(int Rank, long Heads), string> _forms = [];

    /// <summary>The mask in the form that broadcasts over a value.</summary>
    /// <param name="value">The value.</param>
    /// <param name="seenAsRows">Whether a value <c>[batch*tokens, channels]</c> is seen as <c>[batch, tokens, channels]</c>.</param>
    /// <exception cref="OnnxException">The value's rank is unknown, or it has no tokens' axis.</exception>
    public string For(SteeredValue value, bool seenAsRows = false)
    {
        if ((seenAsRows ? 3 : value.Rank) is not (>= 2 and { } rank) || value.TrailingAxes > 0)
            throw new OnnxException($"{value.Place.At} cannot be steered at some tokens only: its axes are not known to be [batch, tokens, .., channels] (rank {value.Rank?.ToString() ?? "unknown"}, channels at axis {value.ChannelAxis}). Steer all positions.");
        var heads = rank <= 3 ? _tokens.HeadsPerToken(value) : 1;
        if (!_forms.TryGetValue((rank, heads), out var form))
            _forms[(rank, heads)] = form = (rank, heads) switch
            {
                (3, 1) => mask,
                (2 or 3, _) => ops.Reshape(Hint, ops.Node(Hint, "Expand", mask, Sizes(heads)), rank == 2 ? [-1, 1] : [0, -1, 1]),
                _ => ops.Reshape(Hint, mask, [0, 0, .. Enumerable.Repeat(1L, rank - 2)]),
            };
        return form;
    }

    // [batch, tokens, heads]
    private string Sizes(long heads) => ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Shape", inputIds), ops.Integers(heads)], Ops.Int("axis", 0));
}
