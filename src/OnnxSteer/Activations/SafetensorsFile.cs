using System.Buffers;
using System.Collections.Immutable;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// A safetensors file, open for reading: the header is read and checked at once, tensors when they are asked for.
/// The file is untrusted; whatever is wrong with it is an <see cref="OnnxException"/>. Reads may run in parallel.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    private const int ChunkElements = 1 << 18;

    private readonly SafeFileHandle handle;
    private readonly Dictionary<string, SafetensorsEntry> byName;

    private SafetensorsFile(string path, SafeFileHandle handle, SafetensorsHeader header)
    {
        Path = path;
        this.handle = handle;
        Tensors = header.Tensors;
        Metadata = header.Metadata;
        byName = header.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
    }

    /// <summary>The path that the file was opened by.</summary>
    public string Path { get; }

    /// <summary>All tensors, in the order of their data.</summary>
    public ImmutableArray<SafetensorsEntry> Tensors { get; }

    /// <summary>The strings of <c>__metadata__</c>; empty where the file has none.</summary>
    public ImmutableSortedDictionary<string, string> Metadata { get; }

    /// <summary>A tensor by name.</summary>
    /// <exception cref="OnnxException">The file has no such tensor.</exception>
    public SafetensorsEntry this[string name] => byName.GetValueOrDefault(name) ?? throw new OnnxException(
        $"'{Path}' holds no tensor '{name}'. It holds {Tensors.Length}: "
            + $"{string.Join(", ", Tensors.Take(8).Select(t => $"'{t.Name}'"))}"
        + (Tensors.Length > 8 ? ", ..." : "."));

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string name) => byName.ContainsKey(name);

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="OnnxException">There is no such file, or it is no valid safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        var handle = OpenHandle(path);
        try
        {
            return new SafetensorsFile(path, handle, ReadHeader(path, handle));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>A floating-point tensor as singles, row-major; <c>F64</c> is rounded to the nearest.</summary>
    /// <exception cref="OnnxException">There is no such tensor, or it is not floating-point.</exception>
    public float[] ReadSingles(string name)
    {
        var entry = this[name];
        return Read<float>(entry, entry.Type switch
        {
            SafetensorsType.F32 => Convert<float, float>,
            SafetensorsType.F64 => Convert<double, float>,
            SafetensorsType.F16 => Convert<Half, float>,
            SafetensorsType.BF16 => Widen,
            _ => throw Unfit(entry, "floating-point numbers"),
        });
    }

    /// <summary>A floating-point tensor as doubles, row-major.</summary>
    /// <exception cref="OnnxException">There is no such tensor, or it is not floating-point.</exception>
    public double[] ReadDoubles(string name)
    {
        if (this[name].Type == SafetensorsType.F64)
            return Read<double>(this[name], Convert<double, double>);
        var singles = ReadSingles(name);
        var doubles = new double[singles.Length];
        TensorPrimitives.ConvertTruncating<float, double>(singles, doubles);
        return doubles;
    }

    /// <summary>A tensor of whole numbers or booleans as 64-bit numbers, row-major.</summary>
    /// <exception cref="OnnxException">There is no such tensor, it is floating-point, or a <c>U64</c> is too large.</exception>
    public long[] ReadIntegers(string name)
    {
        var entry = this[name];
        return Read<long>(entry, entry.Type switch
        {
            SafetensorsType.I64 => Convert<long, long>,
            SafetensorsType.I32 => Convert<int, long>,
            SafetensorsType.I16 => Convert<short, long>,
            SafetensorsType.I8 => Convert<sbyte, long>,
            SafetensorsType.U32 => Convert<uint, long>,
            SafetensorsType.U16 => Convert<ushort, long>,
            SafetensorsType.U8 or SafetensorsType.BOOL => Convert<byte, long>,
            SafetensorsType.U64 => (bytes, to) => Narrow(entry, bytes, to),
            _ => throw Unfit(entry, "whole numbers"),
        });
    }

    /// <summary>A tensor's bytes as they lie in the file.</summary>
    /// <exception cref="OnnxException">There is no such tensor, or it is longer than an array can be.</exception>
    public byte[] ReadBytes(string name)
    {
        var entry = this[name];
        if (entry.Length > Array.MaxLength)
            throw TooLong(entry);
        var bytes = new byte[entry.Length];
        Fill(bytes, entry.Offset);
        return bytes;
    }

    /// <summary>A floating-point tensor of two dimensions as a matrix of singles.</summary>
    /// <exception cref="OnnxException">There is no such tensor, or it is not floating-point or not of two dimensions.</exception>
    public Matrix ReadMatrix(string name)
    {
        var entry = this[name];
        if (entry.Shape.Length != 2 || entry.Shape.Any(d => d > int.MaxValue))
            throw new OnnxException($"Tensor '{name}' of '{Path}' is {entry}; expected two dimensions, [rows, columns].");
        return new Matrix((int)entry.Shape[0], (int)entry.Shape[1],
            ImmutableCollectionsMarshal.AsImmutableArray(ReadSingles(name)));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => handle.Dispose();

    private static SafeFileHandle OpenHandle(string path)
    {
        try
        {
            // A pipe has no length either, and opening one may wait for ever.
            if (new FileInfo(path) is { Exists: true, Length: 0 })
                throw new OnnxException($"'{path}' is empty, or no regular file; a safetensors file was expected.");
            return File.OpenHandle(path, share: FileShare.Read | FileShare.Delete);
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException)
        {
            throw new OnnxException(
                Directory.Exists(path)
                    ? $"'{path}' is a folder; expected a safetensors file."
                    : $"'{path}' cannot be read: {cause.Message}", cause);
        }
    }

    private static SafetensorsHeader ReadHeader(string path, SafeFileHandle handle)
    {
        var length = RandomAccess.GetLength(handle);
        if (length < 8)
            throw SafetensorsHeader.Bad(path, $"it is {length} bytes long, too short for a header");
        Span<byte> prefix = stackalloc byte[8];
        Fill(path, handle, prefix, 0);
        var headerLength = BitConverter.ToUInt64(prefix);
        if (headerLength > (ulong)Math.Min(length - 8, SafetensorsHeader.MaximumLength))
            throw SafetensorsHeader.Bad(path, $"its first 8 bytes give a header of {headerLength} bytes; "
                + $"expected at most {Math.Min(length - 8, SafetensorsHeader.MaximumLength)}");
        var json = new byte[headerLength];
        Fill(path, handle, json, 8);
        var dataStart = 8 + (long)headerLength;
        return SafetensorsHeader.Parse(path, json, dataStart, length - dataStart);
    }

    private delegate void Conversion<T>(ReadOnlySpan<byte> from, Span<T> to);

    private T[] Read<T>(SafetensorsEntry entry, Conversion<T> convert)
    {
        if (entry.Count > Array.MaxLength)
            throw TooLong(entry);
        var result = new T[entry.Count];
        var width = entry.Type.Width();
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(result.Length, ChunkElements) * width);
        try
        {
            for (var first = 0; first < result.Length; first += ChunkElements)
            {
                var count = Math.Min(ChunkElements, result.Length - first);
                var bytes = buffer.AsSpan(0, count * width);
                Fill(bytes, entry.Offset + ((long)first * width));
                convert(bytes, result.AsSpan(first, count));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return result;
    }

    private void Fill(Span<byte> to, long offset) => Fill(Path, handle, to, offset);

    private static void Fill(string path, SafeFileHandle handle, Span<byte> to, long offset)
    {
        while (!to.IsEmpty)
        {
            var read = RandomAccess.Read(handle, to, offset);
            if (read == 0)
                throw new OnnxException($"'{path}' ended at byte {offset} while it was read; another program shortened it.");
            to = to[read..];
            offset += read;
        }
    }

    private static void Convert<TFrom, TTo>(ReadOnlySpan<byte> bytes, Span<TTo> to)
        where TFrom : unmanaged, INumberBase<TFrom>
        where TTo : unmanaged, INumberBase<TTo>
        => TensorPrimitives.ConvertTruncating(MemoryMarshal.Cast<byte, TFrom>(bytes), to);

    private static void Widen(ReadOnlySpan<byte> bytes, Span<float> to)
    {
        var upper = MemoryMarshal.Cast<byte, ushort>(bytes);
        for (var i = 0; i < upper.Length; i++)
            to[i] = BitConverter.UInt32BitsToSingle((uint)upper[i] << 16);
    }

    private void Narrow(SafetensorsEntry entry, ReadOnlySpan<byte> bytes, Span<long> to)
    {
        var wide = MemoryMarshal.Cast<byte, ulong>(bytes);
        for (var i = 0; i < wide.Length; i++)
            to[i] = wide[i] <= long.MaxValue
                ? (long)wide[i]
                : throw new OnnxException($"Tensor '{entry.Name}' of '{Path}' holds {wide[i]}; expected at most "
                    + $"{long.MaxValue}.");
    }

    private OnnxException Unfit(SafetensorsEntry entry, string expected)
        => new($"Tensor '{entry.Name}' of '{Path}' is {entry}; expected {expected}.");

    private OnnxException TooLong(SafetensorsEntry entry)
        => new($"Tensor '{entry.Name}' of '{Path}' is {entry}, more than one array can hold; split it.");
}
