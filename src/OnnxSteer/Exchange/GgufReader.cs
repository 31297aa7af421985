using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// The small part of GGUF that vectors need: versions 2 and 3, little-endian, tensors of one dimension in F32 or F16. The file is
/// untrusted: every count and length is held against what is left of it, and whatever is wrong is an <see cref="OnnxException"/>
/// that says at which byte.
/// </summary>
internal sealed class GgufReader : IDisposable
{
    public const int Alignment = 32;
    public const uint Magic = 0x46554747;
    private const int MaxCount = 1 << 16, MaxText = 1 << 16, MaxAlignment = 1 << 20, MaxDimensions = 4;
    private const uint TextType = 8, ArrayType = 9, SingleType = 0, HalfType = 1;
    private const string AlignmentKey = "general.alignment", ArchitectureKey = "general.architecture";
    private readonly string _path;
    private readonly FileStream _stream;
    private readonly byte[] _number = new byte[8];

    private GgufReader(string path, FileStream stream) => (_path, _stream) = (path, stream);

    /// <summary>The texts among the metadata that the architecture has of its own, by key.</summary>
    public Dictionary<string, string> Texts { get; } = new(StringComparer.Ordinal);

    /// <summary>The tensors in the order of the file.</summary>
    public List<GgufTensor> Tensors { get; } = [];

    /// <summary>Opens a file and reads all but the tensors' data.</summary>
    /// <param name="path">The file.</param>
    /// <param name="architecture">What its <c>general.architecture</c> must be, if it says anything.</param>
    /// <exception cref="OnnxException">There is no such file, or it is no valid GGUF file of that architecture.</exception>
    public static GgufReader Open(string path, string architecture)
    {
        var stream = OpenStream(path);
        try
        {
            var reader = new GgufReader(path, stream);
            reader.ReadHeader(architecture);
            return reader;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Whether a file begins as GGUF files do.</summary>
    public static bool Is(ReadOnlySpan<byte> start) => start.Length >= 4 && BinaryPrimitives.ReadUInt32LittleEndian(start) == Magic;

    /// <summary>A tensor's numbers.</summary>
    public float[] ReadSingles(GgufTensor tensor)
    {
        _stream.Position = tensor.Offset;
        var bytes = Bytes(tensor.Count * tensor.Width, $"the data of tensor '{tensor.Name}'");
        if (tensor.Width == sizeof(float))
            return MemoryMarshal.Cast<byte, float>(bytes).ToArray();
        var singles = new float[tensor.Count];
        for (var i = 0; i < singles.Length; i++)
            singles[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(bytes.AsSpan(2 * i));
        return singles;
    }

    public void Dispose() => _stream.Dispose();

    private static FileStream OpenStream(string path)
    {
        try
        {
            // A pipe has no length either, and opening one may wait for ever.
            if (new FileInfo(path) is { Exists: true, Length: 0 })
                throw new OnnxException($"'{path}' is empty, or no regular file; a GGUF file was expected.");
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException)
        {
            throw new OnnxException(Directory.Exists(path) ? $"'{path}' is a folder; a GGUF file was expected." : $"'{path}' cannot be read: {cause.Message}", cause);
        }
    }

    private void ReadHeader(string architecture)
    {
        if (UInt32("the magic number") is var magic && magic != Magic)
            throw Bad(0, $"the magic number is 0x{magic:x8}, expected 0x{Magic:x8} ('GGUF')");
        if (UInt32("the version") is var version && version is not (2 or 3))
            throw Bad(4, version == BinaryPrimitives.ReverseEndianness(3u) ? "the file is big-endian; little-endian was expected" : $"the version is {version}, expected 2 or 3");
        var tensors = Count("the number of tensors");
        var pairs = Count("the number of metadata entries");
        var alignment = (uint)Alignment;
        var keys = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < pairs; i++)
        {
            var at = _stream.Position;
            var key = Text("a metadata key");
            if (!keys.Add(key))
                throw Bad(at, $"the metadata key '{key}' is there twice");
            var type = UInt32($"the type of '{key}'");
            if (key == AlignmentKey && type == 4)
                alignment = UInt32($"'{key}'");
            else if (type == TextType && key == ArchitectureKey)
                // Before the tensors: a model's would be refused for being quantized.
                CheckArchitecture(Text($"'{key}'"), architecture);
            else if (type == TextType && key.StartsWith(architecture + ".", StringComparison.Ordinal))
                Texts[key] = Text($"'{key}'");
            else
                SkipValue(key, type);
        }
        if (alignment is 0 or > MaxAlignment || (alignment & (alignment - 1)) != 0)
            throw Bad(_stream.Position, $"'{AlignmentKey}' is {alignment}, expected a power of two up to {MaxAlignment}");
        ReadTensors(tensors, alignment);
    }

    private void CheckArchitecture(string found, string expected)
    {
        if (found != expected)
            throw new OnnxException($"'{_path}' says '{ArchitectureKey}' is '{found}'; '{expected}' was expected: vectors are read, models are not.");
    }

    private void ReadTensors(int count, uint alignment)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var found = new List<(string Name, long Count, int Width, ulong Offset, long At)>();
        for (var i = 0; i < count; i++)
        {
            var at = _stream.Position;
            var name = Text("a tensor's name");
            if (!names.Add(name))
                throw Bad(at, $"the tensor '{name}' is there twice");
            var elements = Elements(name);
            var type = UInt32($"the type of tensor '{name}'");
            var width = type switch
            {
                SingleType => 4,
                HalfType => 2,
                _ => throw Bad(at, $"tensor '{name}' is of GGML type {type}; expected 0 (F32) or 1 (F16): vectors are not quantized"),
            };
            found.Add((name, elements, width, UInt64($"the offset of tensor '{name}'"), at));
        }
        var start = (_stream.Position + alignment - 1) / alignment * alignment;
        var left = _stream.Length - start;
        foreach (var (name, elements, width, offset, at) in found)
        {
            var room = _stream.Length - start - (long)Math.Min(offset, long.MaxValue / 2);
            if (offset % alignment != 0 || elements > room / width || room < 0)
                throw Bad(at, $"tensor '{name}' has {elements} numbers of {width} bytes at {offset} behind byte {start}; the file ends at {_stream.Length}, and offsets are multiples of {alignment}");
            // Tensors that share bytes would make a small file large.
            if ((left -= elements * width) < 0)
                throw Bad(at, $"up to tensor '{name}' the tensors have more data than the file has behind byte {start}");
            Tensors.Add(new GgufTensor(name, (int)elements, width, start + (long)offset));
        }
    }

    // Trailing dimensions of 1 say nothing.
    private long Elements(string name)
    {
        var at = _stream.Position;
        var dimensions = UInt32($"the number of dimensions of tensor '{name}'");
        if (dimensions is 0 or > MaxDimensions)
            throw Bad(at, $"tensor '{name}' has {dimensions} dimensions, expected one");
        var sizes = new ulong[dimensions];
        for (var i = 0; i < sizes.Length; i++)
            sizes[i] = UInt64($"a dimension of tensor '{name}'");
        if (sizes.Skip(1).Any(size => size != 1) || sizes[0] is 0 or > int.MaxValue / 4)
            throw Bad(at, $"tensor '{name}' is [{string.Join(", ", sizes)}]; one dimension of 1 to {int.MaxValue / 4} was expected");
        return (long)sizes[0];
    }

    private void SkipValue(string key, uint type)
    {
        if (type != ArrayType)
        {
            SkipScalar(key, type, 1);
            return;
        }
        var at = _stream.Position;
        var element = UInt32($"the element type of '{key}'");
        if (element == ArrayType)
            throw Bad(at, $"'{key}' is an array of arrays, which is not supported");
        var count = UInt64($"the length of '{key}'");
        if (count > (ulong)(_stream.Length - _stream.Position))
            throw Bad(at, $"'{key}' has {count} elements, more than the file has bytes left");
        SkipScalar(key, element, (long)count);
    }

    private void SkipScalar(string key, uint type, long count)
    {
        if (type == TextType)
        {
            for (var i = 0L; i < count; i++)
                Skip(UInt64($"the length of a text of '{key}'"), $"a text of '{key}'");
            return;
        }
        var width = type switch
        {
            0 or 1 or 7 => 1u,
            2 or 3 => 2u,
            4 or 5 or 6 => 4u,
            10 or 11 or 12 => 8u,
            _ => throw Bad(_stream.Position, $"'{key}' is of the unknown type {type}, expected 0 to 12"),
        };
        Skip((ulong)count * width, $"'{key}'");
    }

    private int Count(string what)
    {
        var at = _stream.Position;
        return UInt64(what) is var count && count <= MaxCount ? (int)count : throw Bad(at, $"{what} is {count}, expected at most {MaxCount}");
    }

    private string Text(string what)
    {
        var at = _stream.Position;
        if (UInt64($"the length of {what}") is var length && length > MaxText)
            throw Bad(at, $"{what} is {length} bytes long, expected at most {MaxText}");
        return Encoding.UTF8.GetString(Bytes((long)length, what));
    }

    private uint UInt32(string what)
    {
        Fill(_number.AsSpan(0, 4), what);
        return BinaryPrimitives.ReadUInt32LittleEndian(_number);
    }

    private ulong UInt64(string what)
    {
        Fill(_number, what);
        return BinaryPrimitives.ReadUInt64LittleEndian(_number);
    }

    private byte[] Bytes(long length, string what)
    {
        Require((ulong)length, what);
        var bytes = new byte[length];
        Fill(bytes, what);
        return bytes;
    }

    private void Skip(ulong length, string what)
    {
        Require(length, what);
        _stream.Position += (long)length;
    }

    private void Fill(Span<byte> bytes, string what)
    {
        Require((ulong)bytes.Length, what);
        _stream.ReadExactly(bytes);
    }

    private void Require(ulong length, string what)
    {
        if (length > (ulong)(_stream.Length - _stream.Position))
            throw Bad(_stream.Position, $"{what} takes {length} bytes, but the file ends at {_stream.Length}");
    }

    private OnnxException Bad(long at, string what) => new($"'{_path}' is no GGUF file of vectors: at byte {at}, {what}.");
}

/// <summary>One tensor of a GGUF file, without its data.</summary>
/// <param name="Name">Its name, unique in the file.</param>
/// <param name="Count">How many numbers.</param>
/// <param name="Width">Bytes of a number: 4 (F32) or 2 (F16).</param>
/// <param name="Offset">Where the data starts, in bytes from the start of the file.</param>
internal sealed record GgufTensor(string Name, int Count, int Width, long Offset);
