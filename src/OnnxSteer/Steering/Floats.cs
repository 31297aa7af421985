using System.Buffers.Binary;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Numbers in the element types of ONNX, little-endian.</summary>
internal static class Floats
{
    /// <summary>Writes a number in a type, rounded to nearest, ties to even.</summary>
    public static void Write(DataType type, double value, Span<byte> destination)
    {
        switch (type)
        {
            case DataType.Float32:
                BinaryPrimitives.WriteSingleLittleEndian(destination, (float)value);
                break;
            case DataType.Float16:
                BinaryPrimitives.WriteHalfLittleEndian(destination, (Half)value);
                break;
            case DataType.BFloat16:
                BinaryPrimitives.WriteUInt16LittleEndian(destination, ToBFloat16((float)value));
                break;
            case DataType.Float64:
                BinaryPrimitives.WriteDoubleLittleEndian(destination, value);
                break;
            default:
                throw new OnnxException($"A transport cannot act on {type.Name()}; float32, float16, bfloat16 or float64 was expected.");
        }
    }

    /// <summary>Reads a number of a type.</summary>
    public static double Read(DataType type, ReadOnlySpan<byte> source) => type switch
    {
        DataType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(source),
        DataType.Float16 => (double)BinaryPrimitives.ReadHalfLittleEndian(source),
        DataType.BFloat16 => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(source) << 16),
        DataType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(source),
        _ => throw new OnnxException($"{type.Name()} is no floating point type of tensors; float32, float16, bfloat16 or float64 was expected."),
    };

    /// <summary>Numbers in a type, as <c>raw_data</c> holds them.</summary>
    public static byte[] Bytes(DataType type, ReadOnlySpan<double> values)
    {
        var size = type.Bits() / 8;
        var bytes = new byte[values.Length * size];
        for (var i = 0; i < values.Length; i++)
            Write(type, values[i], bytes.AsSpan(i * size));
        return bytes;
    }

    /// <summary>The largest number of a type that is not above a bound: a strict lower bound of a type's numbers stays what it was.</summary>
    public static double Down(DataType type, double value) => -Up(type, -value);

    /// <summary>The smallest number of a type that is not below a bound.</summary>
    public static double Up(DataType type, double value)
    {
        if (!double.IsFinite(value))
            return value;
        return type switch
        {
            DataType.Float16 => (double)(Half)value is var half && half < value ? (double)Half.BitIncrement((Half)value) : half,
            DataType.BFloat16 => UpBFloat16((float)value),
            DataType.Float32 => (double)(float)value is var single && single < value ? float.BitIncrement((float)value) : single,
            _ => value,
        };
    }

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    private static double UpBFloat16(float value)
    {
        // Cutting off the low half rounds toward zero; above it the next number is one step away.
        var bits = BitConverter.SingleToUInt32Bits(value);
        var cut = bits & 0xFFFF0000;
        return BitConverter.UInt32BitsToSingle(value > 0 && cut != bits ? cut + 0x10000 : cut);
    }
}
