namespace OnnxSteer.Testing;

/// <summary>A share of trials, with the interval that holds the true share in 95 of 100 cases (Wilson 1927).</summary>
/// <param name="Hits">Trials in which it was so.</param>
/// <param name="Trials">All trials.</param>
public readonly record struct Proportion(int Hits, int Trials)
{
    // The 97.5 % quantile of the normal distribution.
    private const double Z = 1.959963984540054;

    /// <summary>The share seen.</summary>
    public double Value => (double)Hits / Trials;

    /// <summary>The lower end of the interval.</summary>
    public double Low => Math.Max(0, Centre - Spread);

    /// <summary>The upper end of the interval.</summary>
    public double High => Math.Min(1, Centre + Spread);

    private double Centre => (Value + Z * Z / (2.0 * Trials)) / (1 + Z * Z / Trials);

    private double Spread => Z / (1 + Z * Z / Trials) * Math.Sqrt(Value * (1 - Value) / Trials + Z * Z / (4.0 * Trials * Trials));
}
