using System.Globalization;

namespace OnnxSteer.Onnx.Diffing;

/// <summary>Compares two tensors, a bounded piece of their data at a time.</summary>
internal static class TensorDiff
{
    private const int PieceBytes = 1 << 18;

    /// <summary>What either is, where they differ; null where they do not.</summary>
    public static (string Before, string After)? Of(Tensor before, Tensor after, CancellationToken cancel)
    {
        if (before.DataType != after.DataType || !before.Dims.AsSpan().SequenceEqual(after.Dims.AsSpan()))
            return (TextOf(before), TextOf(after));
        if (Data(before, after, cancel) is { } data)
            return (TextOf(before), $"{TextOf(after)}, {data}");
        return before.External == after.External ? null : (TextOf(before), TextOf(after));
    }

    public static string TextOf(Tensor tensor) =>
        string.Create(CultureInfo.InvariantCulture, $"{tensor.DataType.Name()}[{string.Join(", ", tensor.Dims)}]{(tensor.External is { } external ? $" at {external.Offset} of {external.Location}" : "")}");

    // How much of the data differs.
    private static string? Data(Tensor before, Tensor after, CancellationToken cancel)
    {
        if (before.DataType.Bits() == 0)
            return before.SameFields(after) ? null : "other texts";
        var length = before.ByteLength;
        var width = Math.Max(1, before.DataType.Bits() / 8);
        var (left, right) = (new byte[(int)Math.Min(length, PieceBytes)], new byte[(int)Math.Min(length, PieceBytes)]);
        long count = 0, first = -1;
        for (long offset = 0; offset < length; offset += left.Length)
        {
            cancel.ThrowIfCancellationRequested();
            var size = (int)Math.Min(left.Length, length - offset);
            before.Read(offset, left.AsSpan(0, size));
            after.Read(offset, right.AsSpan(0, size));
            if (left.AsSpan(0, size).SequenceEqual(right.AsSpan(0, size)))
                continue;
            for (var i = 0; i < size; i += width)
                if (!left.AsSpan(i, Math.Min(width, size - i)).SequenceEqual(right.AsSpan(i, Math.Min(width, size - i))))
                {
                    first = first < 0 ? (offset + i) / width : first;
                    count++;
                }
        }
        var unit = before.DataType.Bits() >= 8 ? "elements" : "bytes";
        return count == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"{count} of {(length + width - 1) / width} {unit} differ, the first is {first}");
    }
}
