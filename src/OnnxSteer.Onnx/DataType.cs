namespace OnnxSteer.Onnx;

/// <summary>Element types, numbered as <c>TensorProto.DataType</c>.</summary>
public enum DataType
{
    /// <summary>Not stated.</summary>
    Undefined = 0,
    /// <summary>IEEE 754 binary32.</summary>
    Float32 = 1,
    /// <summary>Unsigned 8 bit.</summary>
    UInt8 = 2,
    /// <summary>Signed 8 bit.</summary>
    Int8 = 3,
    /// <summary>Unsigned 16 bit.</summary>
    UInt16 = 4,
    /// <summary>Signed 16 bit.</summary>
    Int16 = 5,
    /// <summary>Signed 32 bit.</summary>
    Int32 = 6,
    /// <summary>Signed 64 bit.</summary>
    Int64 = 7,
    /// <summary>UTF-8 text.</summary>
    String = 8,
    /// <summary>One byte, 0 or 1.</summary>
    Bool = 9,
    /// <summary>IEEE 754 binary16.</summary>
    Float16 = 10,
    /// <summary>IEEE 754 binary64.</summary>
    Float64 = 11,
    /// <summary>Unsigned 32 bit.</summary>
    UInt32 = 12,
    /// <summary>Unsigned 64 bit.</summary>
    UInt64 = 13,
    /// <summary>Two binary32.</summary>
    Complex64 = 14,
    /// <summary>Two binary64.</summary>
    Complex128 = 15,
    /// <summary>bfloat16.</summary>
    BFloat16 = 16,
    /// <summary>8-bit float, E4M3FN.</summary>
    Float8E4M3FN = 17,
    /// <summary>8-bit float, E4M3FNUZ.</summary>
    Float8E4M3FNUZ = 18,
    /// <summary>8-bit float, E5M2.</summary>
    Float8E5M2 = 19,
    /// <summary>8-bit float, E5M2FNUZ.</summary>
    Float8E5M2FNUZ = 20,
    /// <summary>Unsigned 4 bit, two a byte.</summary>
    UInt4 = 21,
    /// <summary>Signed 4 bit, two a byte.</summary>
    Int4 = 22,
    /// <summary>4-bit float, E2M1, two a byte.</summary>
    Float4E2M1 = 23,
    /// <summary>8-bit power of two, E8M0.</summary>
    Float8E8M0 = 24,
    /// <summary>Unsigned 2 bit, four a byte.</summary>
    UInt2 = 25,
    /// <summary>Signed 2 bit, four a byte.</summary>
    Int2 = 26,
}

/// <summary>What is known of element types.</summary>
public static class DataTypes
{
    /// <summary>Bits of one element as stored in <c>raw_data</c>; 0 for text and undefined types.</summary>
    public static int Bits(this DataType type) => type switch
    {
        DataType.UInt2 or DataType.Int2 => 2,
        DataType.UInt4 or DataType.Int4 or DataType.Float4E2M1 => 4,
        DataType.UInt8 or DataType.Int8 or DataType.Bool => 8,
        DataType.Float8E4M3FN or DataType.Float8E4M3FNUZ or DataType.Float8E5M2 or DataType.Float8E5M2FNUZ or DataType.Float8E8M0 => 8,
        DataType.UInt16 or DataType.Int16 or DataType.Float16 or DataType.BFloat16 => 16,
        DataType.Float32 or DataType.Int32 or DataType.UInt32 => 32,
        DataType.Float64 or DataType.Int64 or DataType.UInt64 or DataType.Complex64 => 64,
        DataType.Complex128 => 128,
        _ => 0,
    };

    /// <summary>Whether arithmetic on the type is that of real numbers, so that a transport can act on it.</summary>
    public static bool IsFloat(this DataType type) =>
        type is DataType.Float32 or DataType.Float16 or DataType.Float64 or DataType.BFloat16;

    /// <summary>The type's name as people and other tools write it, such as <c>float32</c>.</summary>
    public static string Name(this DataType type) => type.ToString().ToLowerInvariant();
}
