using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Onnx.Wire;

/// <summary>Immutable bytes that are read where they lie: a file, memory, or another source with splices in it.</summary>
public abstract class ByteSource
{
    private protected ByteSource(string name, long length) => (Name, Length) = (name, length);

    /// <summary>What messages call these bytes: a file's path, or what the caller said.</summary>
    public string Name { get; }

    /// <summary>Bytes in all.</summary>
    public long Length { get; }

    /// <summary>Fills <paramref name="destination"/> with the bytes from <paramref name="offset"/> on.</summary>
    /// <exception cref="OnnxException">The range does not lie within the source.</exception>
    public void Read(long offset, Span<byte> destination)
    {
        if (offset < 0 || destination.Length > Length - offset)
            throw new OnnxException($"{Name}: bytes {offset} to {offset + destination.Length} were asked for, but there are {Length}.");
        if (destination.Length > 0)
            ReadCore(offset, destination);
    }

    /// <summary>Writes all bytes to a stream, a bounded buffer at a time.</summary>
    public void CopyTo(Stream stream, CancellationToken cancel = default) => ForEach((_, part) => stream.Write(part), cancel);

    /// <summary>The SHA-256 of all bytes, in lower case.</summary>
    public string Sha256(CancellationToken cancel = default)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        ForEach((_, part) => hash.AppendData(part), cancel);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Hands all bytes on in order, with their offset, a bounded buffer at a time.</summary>
    internal void ForEach(Action<long, ReadOnlySpan<byte>> take, CancellationToken cancel)
    {
        var buffer = new byte[(int)Math.Min(Length, 1 << 18)];
        for (long offset = 0; offset < Length; offset += buffer.Length)
        {
            cancel.ThrowIfCancellationRequested();
            var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, Length - offset));
            Read(offset, part);
            take(offset, part);
        }
    }

    /// <summary>The offset of the first byte in which two differ; null where they are equal.</summary>
    internal long? FirstDifference(ByteSource other, CancellationToken cancel = default)
    {
        var buffer = new byte[1 << 18];
        long? found = null;
        ForEach((offset, part) =>
        {
            if (found is not null)
                return;
            var size = (int)Math.Clamp(other.Length - offset, 0, part.Length);
            other.Read(offset, buffer.AsSpan(0, size));
            var same = part.CommonPrefixLength(buffer.AsSpan(0, size));
            found = same < part.Length ? offset + same : null;
        }, cancel);
        return found ?? (Length == other.Length ? null : Math.Min(Length, other.Length));
    }

    /// <summary>All bytes in one array.</summary>
    public byte[] ToArray() => ToArray(0, Length);

    /// <summary>The bytes of one range in an array.</summary>
    public byte[] ToArray(long offset, long length)
    {
        if (length > Array.MaxLength)
            throw new OnnxException($"{Name}: {length} bytes do not fit one array; save the model to a file instead.");
        var bytes = new byte[length];
        Read(offset, bytes);
        return bytes;
    }

    private protected abstract void ReadCore(long offset, Span<byte> destination);

    /// <summary>The bytes of a file, read on demand. The file may be renamed or replaced meanwhile, not written to.</summary>
    /// <exception cref="OnnxException">The file cannot be opened.</exception>
    public static ByteSource Open(string path)
    {
        // What has no bytes is not opened: it may be a pipe or a device, and opening that may wait forever.
        if (RealFile.LengthOf(path) == 0)
            return From(default, path);
        try
        {
            return new FileSource(path, File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, FileOptions.RandomAccess));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OnnxException($"{path}: the file cannot be opened: {e.Message}", e);
        }
    }

    /// <summary>Bytes in memory; they must not change.</summary>
    public static ByteSource From(ReadOnlyMemory<byte> bytes, string name = "model in memory") => new MemorySource(name, bytes);

    /// <summary>Bytes that are reckoned when they are read.</summary>
    /// <param name="name">What messages call them.</param>
    /// <param name="length">Bytes in all.</param>
    /// <param name="read">Fills a buffer with the bytes from an offset on; it is asked for what lies within alone.</param>
    public static ByteSource Computed(string name, long length, ComputedRead read) => new ComputedSource(name, length, read);

    /// <summary>Part of this source.</summary>
    /// <exception cref="OnnxException">The range does not lie within it.</exception>
    public ByteSource Slice(long offset, long length)
    {
        if (offset < 0 || length < 0 || length > Length - offset)
            throw new OnnxException($"{Name}: bytes {offset} to {offset + length} were asked for, but there are {Length}.");
        return new ComputedSource(Name, length, (at, destination) => Read(offset + at, destination));
    }

    // The handle closes itself when the last model that reads from it is gone.
    private sealed class FileSource(string path, SafeFileHandle handle) : ByteSource(path, RandomAccess.GetLength(handle))
    {
        private protected override void ReadCore(long offset, Span<byte> destination)
        {
            while (destination.Length > 0)
            {
                var count = RandomAccess.Read(handle, destination, offset);
                if (count == 0)
                    throw new OnnxException($"{Name}: the file became shorter while it was read: {offset} of {Length} bytes are left.");
                offset += count;
                destination = destination[count..];
            }
        }
    }

    private sealed class ComputedSource(string name, long length, ComputedRead read) : ByteSource(name, length)
    {
        private protected override void ReadCore(long offset, Span<byte> destination) => read(offset, destination);
    }

    private sealed class MemorySource(string name, ReadOnlyMemory<byte> bytes) : ByteSource(name, bytes.Length)
    {
        private protected override void ReadCore(long offset, Span<byte> destination) =>
            bytes.Span.Slice((int)offset, destination.Length).CopyTo(destination);
    }
}

/// <summary>Fills a buffer with bytes from an offset on.</summary>
public delegate void ComputedRead(long offset, Span<byte> destination);
