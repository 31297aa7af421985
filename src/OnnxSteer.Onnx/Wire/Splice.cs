using Google.Protobuf;

namespace OnnxSteer.Onnx.Wire;

/// <summary>One change of bytes: <paramref name="Removed"/> bytes from <paramref name="Offset"/> on give way to others.</summary>
/// <param name="Offset">Where, in the source.</param>
/// <param name="Removed">How many bytes of the source go.</param>
/// <param name="Inserted">What comes in their place.</param>
internal sealed record Splice(long Offset, long Removed, ReadOnlyMemory<byte> Inserted)
{
    public long End => Offset + Removed;
}

/// <summary>Collects splices inside length-delimited messages and mends the lengths of all messages around them.</summary>
internal sealed class SpliceSet
{
    private readonly List<(Splice Splice, int Depth)> _splices = [];
    private readonly Dictionary<long, (Frame Frame, long Growth)> _growth = [];

    /// <summary>Adds a change in the body of <paramref name="frame"/> (null: directly in the file).</summary>
    public void Add(Frame? frame, long offset, long removed, ReadOnlyMemory<byte> inserted)
    {
        _splices.Add((new Splice(offset, removed, inserted), frame?.Depth ?? 0));
        for (var outer = frame; outer is not null; outer = outer.Parent)
            _growth[outer.Field.Body] = (outer, _growth.GetValueOrDefault(outer.Field.Body).Growth + inserted.Length - removed);
    }

    /// <summary>All splices in order of offset, those of the lengths included; they do not overlap.</summary>
    public IReadOnlyList<Splice> Build()
    {
        var lengths = _growth.Values.Where(entry => entry.Growth != 0).Select(entry => (Splice: LengthOf(entry.Frame, entry.Growth), Depth: entry.Frame.Depth - 1));
        // At one offset what ends a deeper message comes first; edits of one message keep their order (the sort is stable).
        var sorted = _splices.Concat(lengths).OrderBy(s => s.Splice.Offset).ThenBy(s => s.Splice.Removed > 0).ThenByDescending(s => s.Depth)
            .Select(s => s.Splice).ToList();
        for (var i = 1; i < sorted.Count; i++)
            if (sorted[i].Offset < sorted[i - 1].End)
                throw new InvalidOperationException($"Two edits change the same bytes: {sorted[i - 1].Offset} to {sorted[i - 1].End}, and from {sorted[i].Offset}.");
        return sorted;
    }

    private static Splice LengthOf(Frame frame, long growth)
    {
        var field = frame.Field;
        return new Splice(field.Header, field.Body - field.Header, Varint((ulong)(field.Length + growth)));
    }

    private static byte[] Varint(ulong value)
    {
        var bytes = new byte[CodedOutputStream.ComputeUInt64Size(value)];
        using var output = new CodedOutputStream(bytes);
        output.WriteUInt64(value);
        output.Flush();
        return bytes;
    }
}

/// <summary>A source seen through splices: untouched ranges are read from where they always were.</summary>
internal sealed class SplicedSource : ByteSource
{
    private readonly ByteSource _original;
    private readonly (long Start, long Length, long Offset, ReadOnlyMemory<byte> Inserted)[] _parts;

    private SplicedSource(ByteSource original, (long, long, long, ReadOnlyMemory<byte>)[] parts, long length) : base(original.Name, length) =>
        (_original, _parts) = (original, parts);

    public static ByteSource Of(ByteSource original, IReadOnlyList<Splice> splices)
    {
        var parts = new List<(long, long, long, ReadOnlyMemory<byte>)>(2 * splices.Count + 1);
        long position = 0, read = 0;
        foreach (var splice in splices)
        {
            Keep(splice.Offset);
            if (splice.Inserted.Length > 0)
                parts.Add((position, splice.Inserted.Length, -1, splice.Inserted));
            position += splice.Inserted.Length;
            read = splice.End;
        }
        Keep(original.Length);
        return new SplicedSource(original, [.. parts], position);

        void Keep(long end)
        {
            if (end > read)
                parts.Add((position, end - read, read, default));
            position += end - read;
            read = end;
        }
    }

    private protected override void ReadCore(long offset, Span<byte> destination)
    {
        for (var i = Find(offset); destination.Length > 0; i++)
        {
            var part = _parts[i];
            var skip = offset - part.Start;
            var count = (int)Math.Min(destination.Length, part.Length - skip);
            if (part.Offset >= 0)
                _original.Read(part.Offset + skip, destination[..count]);
            else
                part.Inserted.Span.Slice((int)skip, count).CopyTo(destination);
            offset += count;
            destination = destination[count..];
        }
    }

    private int Find(long offset)
    {
        var (low, high) = (0, _parts.Length - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (_parts[middle].Start <= offset)
                low = middle;
            else
                high = middle - 1;
        }
        return low;
    }
}
