using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>
/// Values that wait between two segments of a graph: in memory up to a limit, then in a file, which has no name any more while it
/// is in use. Memory and places in the file are used again.
/// </summary>
internal sealed class LiveValues(long limit) : IDisposable
{
    private readonly Dictionary<(int Batch, string Name), Stored> values = [];
    private readonly Dictionary<int, Stack<byte[]>> free = [];
    private readonly Dictionary<int, Stack<long>> gaps = [];
    private FileStream? file;
    private long inMemory, inFile;

    /// <summary>The most bytes that were held in memory at once.</summary>
    public long PeakInMemory { get; private set; }

    /// <summary>The most bytes that were held in the file at once.</summary>
    public long PeakInFile { get; private set; }

    /// <summary>Copies a value.</summary>
    public void Put(int batch, string name, OrtValue value)
    {
        var bytes = value.Bytes();
        var stored = new Stored(value.ElementType, value.Shape.ToArray(), null, 0);
        if (inMemory + bytes.Length <= limit)
        {
            var buffer = free.GetValueOrDefault(bytes.Length)?.TryPop(out var used) is true ? used : GC.AllocateUninitializedArray<byte>(bytes.Length);
            bytes.CopyTo(buffer);
            PeakInMemory = Math.Max(PeakInMemory, inMemory += bytes.Length);
            stored = stored with { Memory = buffer };
        }
        else
        {
            stored = stored with { Offset = Spill(bytes) };
        }
        values.Add((batch, name), stored);
    }

    /// <summary>The value; to be disposed before it is removed.</summary>
    public OrtValue Get(int batch, string name)
    {
        var (type, shape, memory, offset) = values[(batch, name)];
        if (memory is null)
        {
            memory = GC.AllocateUninitializedArray<byte>((int)type.ByteLength(shape.Aggregate(1L, (a, b) => a * b)));
            for (var read = 0; read < memory.Length;)
                read += RandomAccess.Read(file!.SafeFileHandle, memory.AsSpan(read), offset + read) is var count and > 0 ? count : throw new EndOfStreamException();
        }
        return OrtValue.FromMemory(type, memory, shape);
    }

    /// <summary>Element type of a value, and its shape in some batch.</summary>
    public (ElementType Type, long[] Shape) TypeOf(string name) => values.First(entry => entry.Key.Name == name).Value is var value ? (value.Type, value.Shape) : default;

    /// <summary>Forgets a value; its room is used again.</summary>
    public void Remove(int batch, string name)
    {
        values.Remove((batch, name), out var stored);
        if (stored!.Memory is { } buffer)
        {
            inMemory -= buffer.Length;
            Push(free, buffer.Length, buffer);
        }
        else
            Push(gaps, (int)stored.Type.ByteLength(stored.Shape.Aggregate(1L, (a, b) => a * b)), stored.Offset);
    }

    /// <inheritdoc/>
    public void Dispose() => file?.Dispose();

    private long Spill(ReadOnlySpan<byte> bytes)
    {
        try
        {
            file ??= Nameless();
            var offset = gaps.GetValueOrDefault(bytes.Length)?.TryPop(out var gap) is true ? gap : inFile;
            RandomAccess.Write(file.SafeFileHandle, bytes, offset);
            if (offset == inFile)
                PeakInFile = inFile += bytes.Length;
            return offset;
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException)
        {
            throw new OnnxException($"Values that wait between two segments do not fit in {limit >> 20} MiB of memory, and cannot be written to a file in '{Path.GetTempPath()}': {cause.Message} Allow more (--live-memory), name another folder (TMPDIR), or fit fewer prompts.", cause);
        }
    }

    private static FileStream Nameless()
    {
        var path = Path.Combine(Path.GetTempPath(), $"onnxsteer-{Path.GetRandomFileName()}");
        var opened = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, Options = FileOptions.DeleteOnClose, BufferSize = 0, Share = FileShare.Delete,
        });
        // So that nothing is left behind even by a kill; elsewhere the system sees to it.
        if (!OperatingSystem.IsWindows())
            File.Delete(path);
        return opened;
    }

    private static void Push<T>(Dictionary<int, Stack<T>> stacks, int size, T item)
    {
        if (!stacks.TryGetValue(size, out var stack))
            stacks[size] = stack = new Stack<T>();
        stack.Push(item);
    }

    private sealed record Stored(ElementType Type, long[] Shape, byte[]? Memory, long Offset);
}
