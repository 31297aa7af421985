using Google.Protobuf;

namespace OnnxSteer.Onnx.Wire;

/// <summary>One change of bytes: <paramref name="Removed"/> bytes from <paramref name="Offset"/> on give way to others.</summary>
/// <param name="Offset">Where, in the source.</param>
/// <param name="Removed">How many bytes of the source go.</param>
/// <param name="Inserted">What comes in their place.</param>
internal sealed record Splice(long Offset, long Removed, ByteSource Inserted)
{
    public long End => Offset + Removed;
}

/// <summary>Collects splices inside length-delimited messages and mends the lengths of all messages around them.</summary>
internal sealed class SpliceSet
{
    private readonly List<(Splice Splice, int Depth, int Rank)> _splices = [];
    private readonly Dictionary<long, (Frame Frame, long Growth)> _growth = [];

    /// <summary>Adds a change in the body of <paramref name="frame"/> (null: directly in the file).</summary>
    /// <param name="frame">The message whose body it is.</param>
    /// <param name="offset">Where, in the source.</param>
    /// <param name="removed">How many bytes go.</param>
    /// <param name="inserted">What comes in their place.</param>
    /// <param name="rank">Order among the insertions at one place of one message; those of equal rank keep the order they were added in.</param>
    public void Add(Frame? frame, long offset, long removed, ReadOnlyMemory<byte> inserted, int rank = 0)
    {
        _splices.Add((new Splice(offset, removed, ByteSource.From(inserted)), frame?.Depth ?? 0, rank));
        Grow(frame, inserted.Length - removed);
    }

    /// <summary>All splices in order of offset, those of the lengths included; they do not overlap.</summary>
    /// <exception cref="OnnxException">Two edits change the same bytes.</exception>
    public IReadOnlyList<Splice> Build(ByteSource source)
    {
        var lengths = new List<(Splice Splice, int Depth, int Rank)>();
        // From the inside out: a length that takes another number of bytes makes the messages around it grow or shrink too.
        foreach (var frame in _growth.Values.Select(entry => entry.Frame).OrderByDescending(frame => frame.Depth).ToList())
            if (_growth[frame.Field.Body].Growth is not 0 and var growth)
            {
                var length = LengthOf(frame, growth);
                Grow(frame.Parent, length.Inserted.Length - length.Removed);
                lengths.Add((length, frame.Depth - 1, 0));
            }
        // At one offset what ends a deeper message comes first; edits of one message keep their order (the sort is stable).
        var sorted = _splices.Concat(lengths)
            .OrderBy(s => s.Splice.Offset).ThenBy(s => s.Splice.Removed > 0).ThenByDescending(s => s.Depth).ThenBy(s => s.Rank)
            .Select(s => s.Splice).ToList();
        for (var i = 1; i < sorted.Count; i++)
            if (sorted[i].Offset < sorted[i - 1].End)
                throw new OnnxException($"{source.Name}: two edits of a patch change the same bytes: {sorted[i - 1].Offset} to {sorted[i - 1].End}, and from {sorted[i].Offset}. A patch can rename, replace or remove a thing once.");
        return sorted;
    }

    private void Grow(Frame? frame, long growth)
    {
        for (; frame is not null; frame = frame.Parent)
            _growth[frame.Field.Body] = (frame, _growth.GetValueOrDefault(frame.Field.Body).Growth + growth);
    }

    private static Splice LengthOf(Frame frame, long growth)
    {
        var field = frame.Field;
        return new Splice(field.Header, field.Body - field.Header, ByteSource.From(Varint((ulong)(field.Length + growth))));
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
    private readonly (long Start, long Length, ByteSource Source, long Offset)[] _parts;

    private SplicedSource(string name, (long, long, ByteSource, long)[] parts, long length) : base(name, length) => _parts = parts;

    public static ByteSource Of(ByteSource original, IReadOnlyList<Splice> splices)
    {
        var parts = new List<(long, long, ByteSource, long)>(2 * splices.Count + 1);
        long position = 0, read = 0;
        foreach (var splice in splices)
        {
            Keep(splice.Offset);
            if (splice.Inserted.Length > 0)
                parts.Add((position, splice.Inserted.Length, splice.Inserted, 0));
            position += splice.Inserted.Length;
            read = splice.End;
        }
        Keep(original.Length);
        return new SplicedSource(original.Name, [.. parts], position);

        void Keep(long end)
        {
            if (end > read)
                parts.Add((position, end - read, original, read));
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
            part.Source.Read(part.Offset + skip, destination[..count]);
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
