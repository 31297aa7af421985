namespace OnnxSteer;

/// <summary>
/// An element type of the safetensors format, by the format's own name. Elements are little-endian, tensors row-major.
/// </summary>
public enum SafetensorsType
{
    /// <summary>IEEE double.</summary>
    F64,

    /// <summary>IEEE single.</summary>
    F32,

    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>The upper half of an IEEE single.</summary>
    BF16,

    /// <summary>Signed, 64 bits.</summary>
    I64,

    /// <summary>Signed, 32 bits.</summary>
    I32,

    /// <summary>Signed, 16 bits.</summary>
    I16,

    /// <summary>Signed, 8 bits.</summary>
    I8,

    /// <summary>Unsigned, 64 bits.</summary>
    U64,

    /// <summary>Unsigned, 32 bits.</summary>
    U32,

    /// <summary>Unsigned, 16 bits.</summary>
    U16,

    /// <summary>Unsigned, 8 bits.</summary>
    U8,

    /// <summary>One byte, 0 or 1.</summary>
    BOOL,
}

/// <summary>Element types in the header and in C#.</summary>
internal static class SafetensorsTypes
{
    public static string Known => string.Join(", ", Enum.GetNames<SafetensorsType>());

    public static int Width(this SafetensorsType type) => type switch
    {
        SafetensorsType.F64 or SafetensorsType.I64 or SafetensorsType.U64 => 8,
        SafetensorsType.F32 or SafetensorsType.I32 or SafetensorsType.U32 => 4,
        SafetensorsType.F16 or SafetensorsType.BF16 or SafetensorsType.I16 or SafetensorsType.U16 => 2,
        _ => 1,
    };

    public static SafetensorsType? Parse(string name)
    {
        foreach (var type in Enum.GetValues<SafetensorsType>())
            if (type.ToString() == name)
                return type;
        return null;
    }

    public static SafetensorsType Of<T>() where T : unmanaged
        => typeof(T) == typeof(double) ? SafetensorsType.F64
            : typeof(T) == typeof(float) ? SafetensorsType.F32
            : typeof(T) == typeof(Half) ? SafetensorsType.F16
            : typeof(T) == typeof(long) ? SafetensorsType.I64
            : typeof(T) == typeof(int) ? SafetensorsType.I32
            : typeof(T) == typeof(short) ? SafetensorsType.I16
            : typeof(T) == typeof(sbyte) ? SafetensorsType.I8
            : typeof(T) == typeof(ulong) ? SafetensorsType.U64
            : typeof(T) == typeof(uint) ? SafetensorsType.U32
            : typeof(T) == typeof(ushort) ? SafetensorsType.U16
            : typeof(T) == typeof(byte) ? SafetensorsType.U8
            : typeof(T) == typeof(bool) ? SafetensorsType.BOOL
            : throw new NotSupportedException($"No safetensors type holds {typeof(T).Name}.");
}
