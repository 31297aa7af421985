namespace OnnxSteer;

/// <summary>Mean and standard deviation of one channel's samples, computed in float64.</summary>
/// <param name="Mean">The mean.</param>
/// <param name="Deviation">The unbiased standard deviation (divided by n - 1); 0 for a single sample.</param>
public readonly record struct Moments(double Mean, double Deviation)
{
    /// <summary>The moments of at least one sample.</summary>
    public static Moments Of(ReadOnlySpan<float> samples)
    {
        ArgumentOutOfRangeException.ThrowIfZero(samples.Length, nameof(samples));
        var sum = 0.0;
        foreach (var sample in samples)
            sum += sample;
        var mean = sum / samples.Length;
        var squares = 0.0;
        foreach (var sample in samples)
            squares += (sample - mean) * (sample - mean);
        // The sum's last bit would make a constant channel of, say, three samples deviate by 1e-17.
        var constant = !samples.ContainsAnyExcept(samples[0]);
        return constant ? new Moments(samples[0], 0) : new Moments(mean, Math.Sqrt(squares / (samples.Length - 1)));
    }
}
