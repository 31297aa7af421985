using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace OnnxSteer.Ort;

/// <summary>The type of a tensor's elements (<c>ONNXTensorElementDataType</c>).</summary>
[SuppressMessage("Naming", "CA1720", Justification = "ONNX Runtime's own words.")]
public enum ElementType
{
    /// <summary>Not known.</summary>
    Undefined = 0,

    /// <summary>32-bit floating point; <see cref="float"/>.</summary>
    Float = 1,

    /// <summary>Unsigned 8-bit; <see cref="byte"/>.</summary>
    UInt8 = 2,

    /// <summary>Signed 8-bit; <see cref="sbyte"/>.</summary>
    Int8 = 3,

    /// <summary>Unsigned 16-bit; <see cref="ushort"/>.</summary>
    UInt16 = 4,

    /// <summary>Signed 16-bit; <see cref="short"/>.</summary>
    Int16 = 5,

    /// <summary>Signed 32-bit; <see cref="int"/>.</summary>
    Int32 = 6,

    /// <summary>Signed 64-bit; <see cref="long"/>.</summary>
    Int64 = 7,

    /// <summary>Text; <see cref="string"/>, copied in and out.</summary>
    String = 8,

    /// <summary>One byte, 0 or 1; <see cref="bool"/>.</summary>
    Bool = 9,

    /// <summary>16-bit floating point (IEEE 754); <see cref="Half"/>.</summary>
    Float16 = 10,

    /// <summary>64-bit floating point; <see cref="double"/>.</summary>
    Double = 11,

    /// <summary>Unsigned 32-bit; <see cref="uint"/>.</summary>
    UInt32 = 12,

    /// <summary>Unsigned 64-bit; <see cref="ulong"/>.</summary>
    UInt64 = 13,

    /// <summary>Two floats; bytes only.</summary>
    Complex64 = 14,

    /// <summary>Two doubles; <see cref="Complex"/>.</summary>
    Complex128 = 15,

    /// <summary>The upper half of a 32-bit floating point number; <see cref="Ort.BFloat16"/>.</summary>
    BFloat16 = 16,

    /// <summary>8-bit floating point, 4 exponent bits, no infinities; bytes only.</summary>
    Float8E4M3FN = 17,

    /// <summary>8-bit floating point, 4 exponent bits, no negative zero; bytes only.</summary>
    Float8E4M3FNUZ = 18,

    /// <summary>8-bit floating point, 5 exponent bits; bytes only.</summary>
    Float8E5M2 = 19,

    /// <summary>8-bit floating point, 5 exponent bits, no negative zero; bytes only.</summary>
    Float8E5M2FNUZ = 20,

    /// <summary>Unsigned 4-bit, two a byte, the first in the lower half; bytes only.</summary>
    UInt4 = 21,

    /// <summary>Signed 4-bit, two a byte, the first in the lower half; bytes only.</summary>
    Int4 = 22,

    /// <summary>4-bit floating point, two a byte; bytes only.</summary>
    Float4E2M1 = 23,
}

/// <summary>What an <see cref="ElementType"/> means in memory and in .NET.</summary>
public static class ElementTypes
{
    /// <summary>The element type that .NET's <typeparamref name="T"/> stands for.</summary>
    /// <exception cref="NotSupportedException">No element type has this layout.</exception>
    public static ElementType Of<T>()
        where T : unmanaged
    {
        // A chain that the compiler folds to one constant for every T.
        if (typeof(T) == typeof(float)) return ElementType.Float;
        if (typeof(T) == typeof(Half)) return ElementType.Float16;
        if (typeof(T) == typeof(BFloat16)) return ElementType.BFloat16;
        if (typeof(T) == typeof(double)) return ElementType.Double;
        if (typeof(T) == typeof(long)) return ElementType.Int64;
        if (typeof(T) == typeof(int)) return ElementType.Int32;
        if (typeof(T) == typeof(short)) return ElementType.Int16;
        if (typeof(T) == typeof(sbyte)) return ElementType.Int8;
        if (typeof(T) == typeof(ulong)) return ElementType.UInt64;
        if (typeof(T) == typeof(uint)) return ElementType.UInt32;
        if (typeof(T) == typeof(ushort)) return ElementType.UInt16;
        if (typeof(T) == typeof(byte)) return ElementType.UInt8;
        if (typeof(T) == typeof(bool)) return ElementType.Bool;
        if (typeof(T) == typeof(Complex)) return ElementType.Complex128;
        throw new NotSupportedException($"No ONNX element type is a {typeof(T).Name}. Use float, Half, BFloat16, double, "
            + "an integer, bool or Complex, or give the bytes and name the element type.");
    }

    /// <summary>How many bytes a tensor of this element type and number of elements takes.</summary>
    /// <exception cref="NotSupportedException">Strings have no fixed size, and an undefined type has none.</exception>
    public static long ByteLength(this ElementType type, long elements) => type switch
    {
        ElementType.UInt4 or ElementType.Int4 or ElementType.Float4E2M1 => (elements / 2) + (elements % 2),
        ElementType.UInt8 or ElementType.Int8 or ElementType.Bool or ElementType.Float8E4M3FN or ElementType.Float8E4M3FNUZ
            or ElementType.Float8E5M2 or ElementType.Float8E5M2FNUZ => elements,
        ElementType.UInt16 or ElementType.Int16 or ElementType.Float16 or ElementType.BFloat16 => checked(elements * 2),
        ElementType.Float or ElementType.Int32 or ElementType.UInt32 => checked(elements * 4),
        ElementType.Double or ElementType.Int64 or ElementType.UInt64 or ElementType.Complex64 => checked(elements * 8),
        ElementType.Complex128 => checked(elements * 16),
        _ => throw new NotSupportedException($"Elements of type {type} have no fixed size in memory."),
    };
}
