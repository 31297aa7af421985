namespace OnnxSteer;

/// <summary>
/// Quantiles of sorted samples with linear interpolation at rank <c>q*(n-1)</c>. They come in two precisions because a bound
/// decides by a strict comparison: one bit more or less, and the sample it was taken from is mapped or not. For the same reason
/// they round once, as <c>torch.quantile</c> does, and start from the nearer sample.
/// </summary>
public static class Quantiles
{
    /// <summary>A quantile, every step in float32.</summary>
    /// <param name="sorted">At least one sample, ascending.</param>
    /// <param name="percent">From 0 to 100.</param>
    public static float InFloat32(ReadOnlySpan<float> sorted, double percent)
    {
        var rank = (float)(percent / 100) * (sorted.Length - 1);
        var below = sorted[(int)MathF.Floor(rank)];
        var above = sorted[(int)MathF.Ceiling(rank)];
        var weight = rank - MathF.Floor(rank);
        return weight < 0.5f
            ? MathF.FusedMultiplyAdd(weight, above - below, below)
            : MathF.FusedMultiplyAdd(weight - 1, above - below, above);
    }

    /// <summary>A quantile, every step in float64.</summary>
    /// <param name="sorted">At least one sample, ascending.</param>
    /// <param name="percent">From 0 to 100.</param>
    public static double InFloat64(ReadOnlySpan<float> sorted, double percent)
    {
        var rank = percent / 100 * (sorted.Length - 1);
        double below = sorted[(int)Math.Floor(rank)];
        double above = sorted[(int)Math.Ceiling(rank)];
        var weight = rank - Math.Floor(rank);
        return weight < 0.5
            ? Math.FusedMultiplyAdd(weight, above - below, below)
            : Math.FusedMultiplyAdd(weight - 1, above - below, above);
    }
}
