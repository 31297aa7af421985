using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>Where the bytes of an external tensor lie.</summary>
/// <param name="Location">Path relative to the model's folder, with forward slashes.</param>
/// <param name="Offset">First byte in that file.</param>
/// <param name="Length">Bytes, or null where the model does not say.</param>
public sealed record ExternalLocation(string Location, long Offset, long? Length);

/// <summary>
/// A constant tensor (TensorProto) as it lies in a model: its description, and its data where they are. Data are read
/// when asked for and not kept.
/// </summary>
public sealed class Tensor
{
    private readonly Model _model;
    private readonly ImmutableArray<WireField> _occurrences;
    private readonly WireField? _raw;

    internal Tensor(Model model, ImmutableArray<WireField> occurrences, string name, DataType type, ImmutableArray<long> dims, WireField? raw,
        ExternalLocation? external) =>
        (_model, _occurrences, Name, DataType, Dims, _raw, External) = (model, occurrences, name, type, dims, raw, external);

    /// <summary>The initializer's name; empty for a tensor inside an attribute.</summary>
    public string Name { get; }

    /// <summary>Element type.</summary>
    public DataType DataType { get; }

    /// <summary>Sizes of the axes; empty for a scalar.</summary>
    public ImmutableArray<long> Dims { get; }

    /// <summary>Where the data lie outside the model file; null for inline data.</summary>
    public ExternalLocation? External { get; }

    /// <summary>How many elements there are.</summary>
    /// <exception cref="OnnxException">A negative size, or a product beyond 2^55.</exception>
    public long ElementCount
    {
        get
        {
            long count = 1;
            foreach (var size in Dims)
            {
                if (size < 0 || (size > 0 && count > (1L << 55) / size))
                    throw new OnnxException($"{_model.Source.Name}: tensor '{Name}' has the impossible shape [{string.Join(", ", Dims)}].");
                count *= size;
            }
            return count;
        }
    }

    /// <summary>Bytes of the data as <c>raw_data</c> would hold them.</summary>
    public long ByteLength => checked((ElementCount * DataType.Bits() + 7) / 8);

    /// <summary>A copy of the tensor's message; data outside the model file stay there.</summary>
    /// <exception cref="OnnxException">It does not parse, or has inline data beyond 16 MiB.</exception>
    public TensorProto ToProto() => _model.Message(TensorProto.Parser, Field);

    internal WireField Field => _occurrences[0];

    /// <summary>Reads bytes of the data, little-endian as <c>raw_data</c> holds them, from a byte offset on.</summary>
    /// <exception cref="OnnxException">The range does not lie within the tensor, or the model holds less than its shape says.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        if (offset < 0 || destination.Length > ByteLength - offset)
            throw new OnnxException($"{_model.Source.Name}: bytes {offset} to {offset + destination.Length} of tensor '{Name}' were asked for, which has {ByteLength}.");
        if (destination.IsEmpty)
            return;
        if (External is { } external)
            _model.ExternalFile(this).Read(external.Offset + offset, destination);
        // Some writers set an empty raw_data besides the typed fields.
        else if (_raw is { Length: > 0 } raw)
        {
            if (destination.Length > raw.Length - offset)
                throw TooShort("raw_data holds", raw.Length);
            _model.Source.Read(raw.Body + offset, destination);
        }
        else
        {
            var bytes = TypedBytes();
            if (destination.Length > bytes.Length - offset)
                throw TooShort("data fields hold", bytes.Length);
            bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        }
    }

    /// <summary>All data as bytes.</summary>
    /// <exception cref="OnnxException">More than <paramref name="limit"/> bytes.</exception>
    public byte[] ToBytes(long limit = 1 << 28)
    {
        if (ByteLength > limit)
            throw new OnnxException($"{_model.Source.Name}: tensor '{Name}' has {ByteLength} bytes; at most {limit} were expected here.");
        var bytes = new byte[ByteLength];
        Read(0, bytes);
        return bytes;
    }

    /// <summary>All elements of an integer tensor.</summary>
    public long[] ToInt64s()
    {
        var bytes = ToBytes(1 << 24);
        var values = new long[ElementCount];
        for (var i = 0; i < values.Length; i++)
            values[i] = DataType switch
            {
                DataType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(8 * i)),
                DataType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4 * i)),
                DataType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(4 * i)),
                DataType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(bytes.AsSpan(2 * i)),
                DataType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(2 * i)),
                DataType.Int8 => (sbyte)bytes[i],
                DataType.UInt8 or DataType.Bool => bytes[i],
                _ => throw new OnnxException($"{_model.Source.Name}: tensor '{Name}' is {DataType.Name()}; integers of 8 to 64 bits were expected, not uint64."),
            };
        return values;
    }

    /// <summary>All elements of a float32, float16, bfloat16 or float64 tensor, as float32.</summary>
    public float[] ToSingles()
    {
        var bytes = ToBytes();
        var values = new float[ElementCount];
        for (var i = 0; i < values.Length; i++)
            values[i] = DataType switch
            {
                DataType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(4 * i)),
                DataType.Float16 => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes.AsSpan(2 * i)),
                DataType.BFloat16 => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(2 * i)) << 16),
                DataType.Float64 => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes.AsSpan(8 * i)),
                _ => throw new OnnxException($"{_model.Source.Name}: tensor '{Name}' is {DataType.Name()}; floating point was expected."),
            };
        return values;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Name}: {DataType.Name()}[{string.Join(",", Dims)}]{(External is { } e ? $" in {e.Location}" : "")}");

    /// <summary>Whether the messages hold the same fields; for texts, which have no bytes to read.</summary>
    internal bool SameFields(Tensor other) => Merged().Equals(other.Merged());

    private OnnxException TooShort(string what, long length) =>
        new($"{_model.Source.Name}: tensor '{Name}' should hold {ByteLength} bytes; its {what} {length}.");

    private TensorProto Merged()
    {
        var size = _occurrences.Sum(occurrence => occurrence.Length);
        if (size > 1 << 28)
            throw new OnnxException($"{_model.Source.Name}: tensor '{Name}' keeps {size} bytes in typed fields; at most {1 << 28} are supported there.");
        var proto = new TensorProto();
        try
        {
            foreach (var occurrence in _occurrences)
                proto.MergeFrom(_model.Source.ToArray(occurrence.Body, occurrence.Length));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new OnnxException($"{_model.Source.Name}: the data fields of tensor '{Name}' are not readable: {e.Message}", e);
        }
        return proto;
    }

    // The typed data fields, which only small or old tensors use, in the bytes of raw_data.
    private byte[] TypedBytes()
    {
        var proto = Merged();
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        foreach (var value in proto.FloatData)
            writer.Write(value);
        foreach (var value in proto.DoubleData)
            writer.Write(value);
        foreach (var value in proto.Int64Data)
            writer.Write(value);
        foreach (var value in proto.Uint64Data)
            WriteLow(writer, value, DataType.Bits());
        foreach (var value in proto.Int32Data)
            WriteLow(writer, unchecked((ulong)value), Math.Max(8, DataType.Bits()));
        return stream.ToArray();
    }

    private static void WriteLow(BinaryWriter writer, ulong value, int bits)
    {
        for (var shift = 0; shift < bits; shift += 8)
            writer.Write((byte)(value >> shift));
    }
}
