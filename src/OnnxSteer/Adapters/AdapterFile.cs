using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer;

/// <summary>
/// Reads and writes ONNX Runtime's adapter files (<c>.onnx_adapter</c>): a flatbuffer <c>TORT</c> of named tensors that take the place
/// of optional graph inputs.
/// </summary>
public static class AdapterFile
{
    /// <summary>How such a file's name ends.</summary>
    public const string Extension = ".onnx_adapter";

    private const int MaxBytes = 1 << 30, MaxAxes = 16, MaxNameBytes = 1 << 16;
    private const int FormatVersion = 1;

    // The root's fields, and those of a parameter.
    private const int Format = 0, Parameters = 3, Name = 0, Dims = 1, Type = 2, Data = 3;

    private static ReadOnlySpan<byte> Identifier => "TORT"u8;

    /// <summary>Writes a file atomically; equal parameters give equal bytes.</summary>
    /// <exception cref="OnnxException">The file cannot be written.</exception>
    public static void Write(string path, IReadOnlyList<AdapterParameter> parameters)
    {
        var bytes = ToBytes(parameters);
        AtomicFile.Write(path, stream => stream.Write(bytes));
    }

    /// <summary>The bytes of a file.</summary>
    public static byte[] ToBytes(IReadOnlyList<AdapterParameter> parameters)
    {
        var file = new Builder();
        var root = file.Table();
        file.Put(root, Format, FormatVersion);
        file.Put(root, 1, 1);
        file.Put(root, 2, 1);
        var list = file.Vector(root, Parameters, 4, parameters.Count, new byte[4 * parameters.Count]);
        foreach (var (i, parameter) in parameters.Index())
        {
            var table = file.Table();
            file.Point(list + 4 * i, table);
            var name = Encoding.UTF8.GetBytes(parameter.Name);
            file.Vector(table, Name, 4, name.Length, [.. name, 0]);
            file.Vector(table, Dims, 8, parameter.Dims.Length, [.. parameter.Dims.SelectMany(BitConverter.GetBytes)]);
            file.Put(table, Type, (int)parameter.DataType);
            file.Vector(table, Data, 8, parameter.Data.Length, parameter.Data.Span);
        }
        return file.ToArray();
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="OnnxException">It is no adapter file, or damaged; the message says where.</exception>
    public static ImmutableArray<AdapterParameter> Read(string path)
    {
        var source = ByteSource.Open(path);
        if (source.Length > MaxBytes)
            throw new OnnxException($"{path}: {source.Length} bytes are more than an adapter has; at most {MaxBytes} were expected.");
        return Parse(source.ToArray(), path);
    }

    /// <summary>Reads the bytes of a file; the parameters keep pointing into them.</summary>
    /// <param name="bytes">The bytes; must not change afterwards.</param>
    /// <param name="name">What messages call them.</param>
    /// <exception cref="OnnxException">They are no adapter file, or damaged; the message says where.</exception>
    public static ImmutableArray<AdapterParameter> Parse(ReadOnlyMemory<byte> bytes, string name)
    {
        var reader = new Reader(bytes, name);
        if (bytes.Length < 8 || !bytes.Span.Slice(4, 4).SequenceEqual(Identifier))
            throw reader.Damaged("bytes 4 to 8 are not 'TORT'", 4);
        var root = reader.Target(0);
        if (reader.Int(root, Format, 0) is var version && version != FormatVersion)
            throw reader.Damaged($"it has format version {version}; {FormatVersion} was expected", root);
        if (reader.Vector(root, Parameters, 4) is not { } list)
            return [];
        var parameters = ImmutableArray.CreateBuilder<AdapterParameter>(list.Count);
        var names = new HashSet<string>();
        for (var i = 0; i < list.Count; i++)
        {
            var parameter = Parameter(reader, reader.Target(list.Start + 4 * i));
            if (!names.Add(parameter.Name))
                throw reader.Damaged($"it has parameter '{parameter.Name}' twice", list.Start + 4 * i);
            parameters.Add(parameter);
        }
        return parameters.ToImmutable();
    }

    private static AdapterParameter Parameter(Reader reader, int table)
    {
        if (reader.Vector(table, Name, 1) is not { Count: > 0 and <= MaxNameBytes } text)
            throw reader.Damaged("a parameter has no name, or an absurdly long one", table);
        var name = Encoding.UTF8.GetString(reader.Bytes(text.Start, text.Count).Span);
        var (type, sizes) = ((DataType)reader.Int(table, Type, 0), reader.Vector(table, Dims, 8));
        if (sizes is { Count: > MaxAxes } || !Enum.IsDefined(type) || type.Bits() == 0)
            throw reader.Damaged($"parameter '{name}' has {sizes?.Count ?? 0} axes and element type {(int)type}", table);
        var dims = Enumerable.Range(0, sizes?.Count ?? 0).Select(i => reader.Long(sizes!.Value.Start + 8 * i)).ToImmutableArray();
        var data = reader.Vector(table, Data, 1) is { } raw ? reader.Bytes(raw.Start, raw.Count) : default;
        var count = dims.Aggregate((UInt128)1, (product, dim) => dim < 0 || product > int.MaxValue ? UInt128.MaxValue >> 8 : product * (UInt128)dim);
        if ((count * (UInt128)type.Bits() + 7) / 8 != (UInt128)data.Length)
            throw reader.Damaged($"parameter '{name}' has shape [{string.Join(", ", dims)}] of {type.Name()}, but {data.Length} bytes", table);
        return new AdapterParameter(name, type, dims, data);
    }

    // All tables have four fields of four bytes, so that one description of them serves all.
    private sealed class Builder
    {
        private const int Description = 8;
        private readonly List<byte> _bytes = [.. new byte[4], .. Identifier];

        public Builder()
        {
            foreach (ushort entry in (ushort[])[12, 20, 4, 8, 12, 16])
                _bytes.AddRange(BitConverter.GetBytes(entry));
        }

        public int Table()
        {
            Align(4, 0);
            var start = _bytes.Count;
            if (start == Description + 12)
                Set(0, start);
            Add(start - Description);
            for (var field = 0; field < 4; field++)
                Add(0);
            return start;
        }

        public void Put(int table, int field, int value) => Set(At(table, field), value);

        /// <summary>Appends a vector that a field points to; returns where its elements begin.</summary>
        public int Vector(int table, int field, int alignment, int count, ReadOnlySpan<byte> bytes)
        {
            Align(alignment, 4);
            Point(At(table, field), _bytes.Count);
            Add(count);
            var start = _bytes.Count;
            _bytes.AddRange(bytes);
            return start;
        }

        public void Point(int from, int to) => Set(from, to - from);

        public byte[] ToArray() => [.. _bytes];

        private static int At(int table, int field) => table + 4 + 4 * field;

        private void Align(int alignment, int ahead)
        {
            while ((_bytes.Count + ahead) % alignment != 0)
                _bytes.Add(0);
        }

        private void Add(int value) => _bytes.AddRange(BitConverter.GetBytes(value));

        private void Set(int at, int value)
        {
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
            for (var i = 0; i < 4; i++)
                _bytes[at + i] = bytes[i];
        }
    }

    // Every offset and length is checked before it is followed.
    private sealed class Reader(ReadOnlyMemory<byte> bytes, string name)
    {
        public OnnxException Damaged(string what, int at) =>
            new($"{name}: not a readable adapter file: {what} (byte {at} of {bytes.Length}). An .onnx_adapter file, as 'onnxsteer pack' writes it, was expected.");

        public ReadOnlyMemory<byte> Bytes(int start, int count) =>
            start >= 0 && count >= 0 && start <= bytes.Length - count ? bytes.Slice(start, count) : throw Damaged($"{count} bytes are missing", start);

        public long Long(int at) => BinaryPrimitives.ReadInt64LittleEndian(Bytes(at, 8).Span);

        /// <summary>What an offset points to.</summary>
        public int Target(int at)
        {
            var target = at + (long)BinaryPrimitives.ReadUInt32LittleEndian(Bytes(at, 4).Span);
            return target <= bytes.Length - 4 ? (int)target : throw Damaged("an offset leads out of the file", at);
        }

        public int Int(int table, int field, int standard) => Field(table, field) is { } at ? Word(at) : standard;

        public (int Start, int Count)? Vector(int table, int field, int elementBytes)
        {
            if (Field(table, field) is not { } at)
                return null;
            var start = Target(at);
            var count = (long)(uint)Word(start);
            return count * elementBytes <= bytes.Length - 4 - start ? (start + 4, (int)count) : throw Damaged($"a list says that it has {count} elements", start);
        }

        private int Word(int at) => BinaryPrimitives.ReadInt32LittleEndian(Bytes(at, 4).Span);

        private int? Field(int table, int field)
        {
            var description = table - (long)Word(table);
            if (description < 0 || description > bytes.Length - 4)
                throw Damaged("a table's description lies outside the file", table);
            var (start, entry) = ((int)description, 4 + 2 * field);
            if (entry + 2 > BinaryPrimitives.ReadUInt16LittleEndian(Bytes(start, 2).Span))
                return null;
            var offset = BinaryPrimitives.ReadUInt16LittleEndian(Bytes(start + entry, 2).Span);
            return offset == 0 ? null : table + offset <= bytes.Length - 4 ? table + offset : throw Damaged("a field lies outside the file", table);
        }
    }
}
