using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>
/// The open interval <c>lo &lt; z &lt; hi</c> of each channel outside of which a transport is the identity. An infinite
/// bound is none; an interval that holds no single makes its channel the identity.
/// </summary>
/// <param name="Lo">Lower bounds, <c>[channels]</c>, strict.</param>
/// <param name="Hi">Upper bounds, <c>[channels]</c>, strict.</param>
public sealed record Support(ImmutableArray<float> Lo, ImmutableArray<float> Hi)
{
    /// <summary>In files, <c>-NoBound</c> and <c>NoBound</c> stand for no lower and no upper bound.</summary>
    public const float NoBound = 1e6f;

    /// <summary>
    /// The largest single that is not above <paramref name="lo"/>. For every single z, <c>z &gt; lo</c> and
    /// <c>z &gt; RoundDown(lo)</c> are the same: no single lies between the two.
    /// </summary>
    public static float RoundDown(double lo)
    {
        var nearest = (float)lo;
        return nearest > lo ? MathF.BitDecrement(nearest) : nearest;
    }

    /// <summary>The smallest single that is not below <paramref name="hi"/>; <c>z &lt; hi</c> stays the same for every
    /// single.</summary>
    public static float RoundUp(double hi)
    {
        var nearest = (float)hi;
        return nearest < hi ? MathF.BitIncrement(nearest) : nearest;
    }

    /// <summary>Whether no single lies strictly between a channel's bounds.</summary>
    public bool IsEmpty(int channel) => !(MathF.BitIncrement(Lo[channel]) < Hi[channel]);

    /// <summary>Whether bounds are the same.</summary>
    public bool Equals(Support? other)
        => other is not null && Lo.AsSpan().SequenceEqual(other.Lo.AsSpan()) && Hi.AsSpan().SequenceEqual(other.Hi.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Lo.Length, Lo.Sum(), Hi.Sum());
}
