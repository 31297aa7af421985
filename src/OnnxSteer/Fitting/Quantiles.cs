using System.Numerics;

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
    public static float InFloat32(ReadOnlySpan<float> sorted, double percent) => In<float>(sorted, percent);

    /// <summary>A quantile, every step in float64.</summary>
    /// <param name="sorted">At least one sample, ascending.</param>
    /// <param name="percent">From 0 to 100.</param>
    public static double InFloat64(ReadOnlySpan<float> sorted, double percent) => In<double>(sorted, percent);

    private static T In<T>(ReadOnlySpan<float> sorted, double percent) where T : IBinaryFloatingPointIeee754<T>
    {
        var rank = T.CreateChecked(percent / 100) * T.CreateChecked(sorted.Length - 1);
        var below = T.CreateChecked(sorted[int.CreateChecked(T.Floor(rank))]);
        var above = T.CreateChecked(sorted[int.CreateChecked(T.Ceiling(rank))]);
        var weight = rank - T.Floor(rank);
        return weight < T.CreateChecked(0.5)
            ? T.FusedMultiplyAdd(weight, above - below, below)
            : T.FusedMultiplyAdd(weight - T.One, above - below, above);
    }
}
