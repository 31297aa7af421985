using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.InteropServices;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// A map of one site's activations: <c>T(z) = w*z + b</c> per channel inside the support, the identity outside
/// (AcT, arXiv 2410.23054). The strength s blends it in: <c>y = z + s*(T(z) - z)</c>.
/// </summary>
/// <remarks>
/// Without a support every finite value is mapped. The reference implementation's <c>q_all</c> is the open band from -1e6 to
/// 1e6 instead, so that values at or beyond a million differ: it leaves them alone, this does not.
/// </remarks>
public sealed class Transport : IEquatable<Transport>
{
    private Transport(ImmutableArray<float> w, ImmutableArray<float> b, Support? support)
    {
        W = w;
        B = b;
        Support = support;
    }

    /// <summary>The factors, <c>[channels]</c>, finite.</summary>
    public ImmutableArray<float> W { get; }

    /// <summary>The shifts, <c>[channels]</c>, finite.</summary>
    public ImmutableArray<float> B { get; }

    /// <summary>Where the map acts; null where no channel has a bound.</summary>
    public Support? Support { get; }

    /// <summary>The number of channels.</summary>
    public int Channels => W.Length;

    /// <summary>Whether the map changes nothing: every channel is the identity or has an empty support.</summary>
    public bool IsIdentity => Enumerable.Range(0, Channels).All(IsIdentityAt);

    /// <summary>A checked transport without bounds.</summary>
    /// <param name="site">The site, for error messages.</param>
    /// <param name="w">The factors, <c>[channels]</c>.</param>
    /// <param name="b">The shifts, <c>[channels]</c>.</param>
    /// <exception cref="OnnxException">No channels, different lengths, or a value that is not finite.</exception>
    public static Transport Of(string site, ImmutableArray<float> w, ImmutableArray<float> b)
    {
        if (w.IsDefaultOrEmpty)
            throw new OnnxException($"The transport of site '{site}' has no channels; '{site}/w' must hold at least one.");
        CheckLength(site, "b", b, w.Length);
        CheckFinite(site, "w", w);
        CheckFinite(site, "b", b);
        return new Transport(w, b, null);
    }

    /// <summary>
    /// A checked transport with bounds. A lower bound of -1e6 and an upper bound of 1e6 stand for none, as infinite ones
    /// do; where no channel has a bound, the transport has no support.
    /// </summary>
    /// <param name="site">The site, for error messages.</param>
    /// <param name="w">The factors, <c>[channels]</c>.</param>
    /// <param name="b">The shifts, <c>[channels]</c>.</param>
    /// <param name="lo">The lower bounds, <c>[channels]</c>.</param>
    /// <param name="hi">The upper bounds, <c>[channels]</c>, nowhere below the lower.</param>
    /// <exception cref="OnnxException">No channels, different lengths, a value that is not finite, or bounds in the wrong
    /// order.</exception>
    public static Transport Of(
        string site, ImmutableArray<float> w, ImmutableArray<float> b, ImmutableArray<float> lo, ImmutableArray<float> hi)
    {
        var free = Of(site, w, b);
        CheckLength(site, "lo", lo, w.Length);
        CheckLength(site, "hi", hi, w.Length);
        for (var channel = 0; channel < w.Length; channel++)
            if (!(lo[channel] <= hi[channel]) || float.IsPositiveInfinity(lo[channel]) || float.IsNegativeInfinity(hi[channel]))
                throw new OnnxException($"'{site}/lo' and '{site}/hi' are {lo[channel]:R} and {hi[channel]:R} in channel "
                    + $"{channel}; "
                    + "expected a lower bound that is not above the upper one. Fit the map again, or write -1e6 and 1e6 for no "
                    + "bounds.");
        ImmutableArray<float> lower = [.. lo.Select(v => v == -Support.NoBound ? float.NegativeInfinity : v)];
        ImmutableArray<float> upper = [.. hi.Select(v => v == Support.NoBound ? float.PositiveInfinity : v)];
        var bounded = lower.Any(float.IsFinite) || upper.Any(float.IsFinite);
        return bounded ? new Transport(w, b, new Support(lower, upper)) : free;
    }

    /// <summary>Whether one channel is left as it is.</summary>
    public bool IsIdentityAt(int channel) => (W[channel] == 1 && B[channel] == 0) || Support?.IsEmpty(channel) == true;

    /// <summary>
    /// Maps rows of channels: <c>y = z*((1-s) + s*w) + s*b</c> inside the support, z itself outside. Infinite and NaN values
    /// are passed through.
    /// </summary>
    /// <param name="z">Activations, <c>[rows, channels]</c>, row-major.</param>
    /// <param name="y">The result, of the same length; may be <paramref name="z"/> itself, but not overlap it otherwise.</param>
    /// <param name="strength">s: 0 changes nothing, 1 is the map; any finite number.</param>
    /// <exception cref="OnnxException">The strength is not finite.</exception>
    /// <exception cref="ArgumentException">The lengths differ or are no multiple of the channels.</exception>
    public void Apply(ReadOnlySpan<float> z, Span<float> y, float strength)
    {
        if (!float.IsFinite(strength))
            throw new OnnxException($"The strength is {strength}; expected a finite number, 0 to 1 by convention.");
        if (z.Length != y.Length || z.Length % Channels != 0)
            throw new ArgumentException($"{z.Length} values in and {y.Length} out; expected equal multiples of {Channels} "
                + "channels.", nameof(y));
        if (strength == 0)
        {
            z.CopyTo(y);
            return;
        }
        var (scale, shift) = Scaled(strength);
        var lo = Bounds(Support?.Lo, float.NegativeInfinity);
        var hi = Bounds(Support?.Hi, float.PositiveInfinity);
        for (var row = 0; row < z.Length; row += Channels)
            ApplyRow(z.Slice(row, Channels), y.Slice(row, Channels), scale, shift, lo, hi);
    }

    /// <summary>Maps values of one channel at strength 1, as <see cref="Apply"/> does.</summary>
    /// <param name="channel">The channel.</param>
    /// <param name="z">Its activations.</param>
    /// <param name="y">The result, of the same length.</param>
    public void ApplyChannel(int channel, ReadOnlySpan<float> z, Span<float> y)
    {
        var (w, b) = (W[channel], B[channel]);
        var (lo, hi) = (Support?.Lo[channel] ?? float.NegativeInfinity, Support?.Hi[channel] ?? float.PositiveInfinity);
        for (var i = 0; i < z.Length; i++)
            y[i] = lo < z[i] && z[i] < hi ? (z[i] * w) + b : z[i];
    }

    /// <summary>
    /// The parameters that make one multiplication and one addition of a strength: <c>(1-s) + s*w</c> and <c>s*b</c>, computed
    /// in double and rounded once.
    /// </summary>
    public (float[] Scale, float[] Shift) Scaled(float strength)
    {
        var scale = new float[Channels];
        var shift = new float[Channels];
        for (var channel = 0; channel < Channels; channel++)
        {
            scale[channel] = (float)((1 - (double)strength) + ((double)strength * W[channel]));
            shift[channel] = (float)((double)strength * B[channel]);
        }
        return (scale, shift);
    }

    /// <summary>Whether parameters and support are the same.</summary>
    public bool Equals(Transport? other)
        => other is not null && W.AsSpan().SequenceEqual(other.W.AsSpan()) && B.AsSpan().SequenceEqual(other.B.AsSpan())
            && Equals(Support, other.Support);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Transport);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Channels, W.Sum(), B.Sum(), Support);

    private static void ApplyRow(
        ReadOnlySpan<float> z, Span<float> y, ReadOnlySpan<float> scale, ReadOnlySpan<float> shift, ReadOnlySpan<float> lo,
        ReadOnlySpan<float> hi)
    {
        var channel = 0;
        for (; channel <= z.Length - Vector<float>.Count; channel += Vector<float>.Count)
        {
            var value = new Vector<float>(z[channel..]);
            var mapped = (value * new Vector<float>(scale[channel..])) + new Vector<float>(shift[channel..]);
            var inside = Vector.GreaterThan(value, new Vector<float>(lo[channel..]))
                & Vector.LessThan(value, new Vector<float>(hi[channel..]));
            Vector.ConditionalSelect(inside, mapped, value).CopyTo(y[channel..]);
        }
        for (; channel < z.Length; channel++)
        {
            var value = z[channel];
            y[channel] = lo[channel] < value && value < hi[channel] ? (value * scale[channel]) + shift[channel] : value;
        }
    }

    private float[] Bounds(ImmutableArray<float>? bounds, float none)
    {
        if (bounds is { } given)
            return ImmutableCollectionsMarshal.AsArray(given)!;
        var unbounded = new float[Channels];
        unbounded.AsSpan().Fill(none);
        return unbounded;
    }

    private static void CheckLength(string site, string name, ImmutableArray<float> values, int channels)
    {
        if (values.IsDefault || values.Length != channels)
            throw new OnnxException($"'{site}/{name}' has {(values.IsDefault ? 0 : values.Length)} channels, but '{site}/w' has "
                + $"{channels}; both must have as many.");
    }

    private static void CheckFinite(string site, string name, ImmutableArray<float> values)
    {
        for (var channel = 0; channel < values.Length; channel++)
            if (!float.IsFinite(values[channel]))
                throw new OnnxException($"'{site}/{name}' is {values[channel]} in channel {channel}; expected a finite number. "
                    + "Fit the map again.");
    }
}
