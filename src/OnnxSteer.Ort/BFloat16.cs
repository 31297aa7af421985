namespace OnnxSteer.Ort;

/// <summary>A 16-bit floating point number: the upper half of a <see cref="float"/>.</summary>
/// <param name="Bits">The sixteen bits.</param>
public readonly record struct BFloat16(ushort Bits)
{
    /// <summary>Exactly the same number.</summary>
    public static explicit operator float(BFloat16 value) => value.ToSingle();

    /// <summary>The nearest number; of two that are equally near, the even one.</summary>
    public static explicit operator BFloat16(float value) => FromSingle(value);

    /// <summary>Exactly the same number.</summary>
    public float ToSingle() => BitConverter.UInt32BitsToSingle((uint)Bits << 16);

    /// <summary>The nearest number; of two that are equally near, the even one. Not-a-number stays that.</summary>
    public static BFloat16 FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        // Rounding could carry a not-a-number's payload into infinity.
        return float.IsNaN(value)
            ? new((ushort)((bits >> 16) | 0x40))
            : new((ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
    }
}
