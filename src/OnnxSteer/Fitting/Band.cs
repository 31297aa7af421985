using System.Globalization;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Which quantiles of the pooled source bound a transport's support: <c>q_5_95</c> leaves alone what lies at or beyond the
/// 5th and 95th percentile, <c>q_all</c> maps everything. Never compare methods under different bands.
/// </summary>
public sealed record Band
{
    private const string AllName = "q_all";

    private Band(double low, double high)
    {
        Low = low;
        High = high;
    }

    /// <summary>No bounds, <c>q_all</c>: the choice of the AcT paper for inducing a concept, and the default of a mean
    /// fit.</summary>
    public static Band QAll { get; } = new(double.NegativeInfinity, double.PositiveInfinity);

    /// <summary>From the smallest to the largest sample, <c>q_0_100</c>: the paper's choice for mitigation, and the default of a
    /// linear fit.</summary>
    public static Band Q0To100 { get; } = new(0, 100);

    /// <summary>The lower percentile; negative infinity where there are no bounds.</summary>
    public double Low { get; }

    /// <summary>The upper percentile; positive infinity where there are no bounds.</summary>
    public double High { get; }

    /// <summary>Whether the band has no bounds.</summary>
    public bool IsUnbounded => double.IsInfinity(High);

    /// <summary>A band between two percentiles.</summary>
    /// <exception cref="OnnxException">They are not in order, or not between 0 and 100.</exception>
    public static Band Of(double low, double high) => low >= 0 && low < high && high <= 100
        ? new Band(low, high)
        : throw new OnnxException($"A band from {low:R} to {high:R} is none; expected two percentiles from 0 to 100 in "
            + "ascending order.");

    /// <summary>Reads a band's name: <c>q_all</c>, or <c>q_LOW_HIGH</c> in percent.</summary>
    /// <exception cref="OnnxException">It is no such name.</exception>
    public static Band Parse(string name)
    {
        if (name == AllName)
            return QAll;
        var parts = name.Split('_');
        return parts.Length == 3 && parts[0] == "q" && TryPercent(parts[1], out var low) && TryPercent(parts[2], out var high)
            ? Of(low, high)
            : throw new OnnxException($"'{name}' names no band; expected q_all, or two percentiles as in q_0_100 or q_0.5_99.5.");
    }

    /// <summary>The band's name, as <see cref="Parse"/> reads it.</summary>
    public override string ToString()
        => IsUnbounded ? AllName : string.Create(CultureInfo.InvariantCulture, $"q_{Low:R}_{High:R}");

    private static bool TryPercent(string text, out double value)
        => double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value);
}
