namespace OnnxSteer;

/// <summary>
/// The parameters of one value under a strength, as names in the graph: <c>z*Scale + Shift</c> is the new value, with
/// <c>Scale = 1 + λ(w−1)</c>, or the change, with <c>Scale = λ(w−1)</c> (<see cref="SteeredValue.IsChange"/>). Null where nothing is
/// to be multiplied, added or bounded. Parameters are scaled, never the activation: the product of an activation's difference
/// overflows float16 where this does not.
/// </summary>
/// <param name="Scale">The factors.</param>
/// <param name="Shift">The shifts.</param>
/// <param name="Lo">The lower bounds, of <see cref="SteeredValue.BoundsType"/>.</param>
/// <param name="Hi">The upper bounds.</param>
internal sealed record ScaledParameters(string? Scale, string? Shift, string? Lo, string? Hi)
{
    /// <summary>A support as constants; none where the map has none.</summary>
    public static (string? Lo, string? Hi) Bounds(Ops ops, SteeredValue value, ChannelParameters map)
    {
        if (!map.HasSupport)
            return (null, null);
        var hint = value.Hint("support");
        return (ops.Constant(hint, value.BoundsType, value.ChannelShape, map.Lo, Floats.Down), ops.Constant(hint, value.BoundsType, value.ChannelShape, map.Hi, Floats.Up));
    }
}
