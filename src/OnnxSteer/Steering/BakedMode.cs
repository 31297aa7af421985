namespace OnnxSteer;

/// <summary>Constants of a fixed strength.</summary>
internal static class BakedMode
{
    /// <summary>The parameters of each value.</summary>
    /// <param name="ops">Where the constants go.</param>
    /// <param name="values">The values, with one map each.</param>
    /// <param name="strength">λ.</param>
    /// <param name="evenIdentity">Write out factors of 1 and shifts of 0 too.</param>
    public static IReadOnlyList<ScaledParameters> Of(Ops ops, IEnumerable<SteeredValue> values, float strength, bool evenIdentity) =>
        [.. values.Select(value =>
        {
            var map = value.Maps[0];
            var (scale, shift) = map.Scaled(strength, value.IsChange);
            var (lo, hi) = ScaledParameters.Bounds(ops, value, map);
            return new ScaledParameters(
                map.HasScale || evenIdentity ? ops.Constant(value.Hint("scale"), value.ParameterType, value.ChannelShape, scale) : null,
                map.HasShift || evenIdentity ? ops.Constant(value.Hint("shift"), value.ParameterType, value.ChannelShape, shift) : null, lo, hi);
        })];
}
