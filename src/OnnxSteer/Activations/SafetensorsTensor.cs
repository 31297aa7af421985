using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace OnnxSteer;

/// <summary>A tensor to be written to a safetensors file.</summary>
public sealed class SafetensorsTensor
{
    private SafetensorsTensor(string name, SafetensorsType type, ImmutableArray<long> shape, ReadOnlyMemory<byte> bytes)
    {
        var expected = SafetensorsHeader.ByteCount(type, shape);
        if (shape.Any(d => d < 0) || expected != bytes.Length)
            throw new ArgumentException($"Tensor '{name}' has {bytes.Length} bytes of data; {type} [{string.Join(", ", shape)}] "
                + $"takes {expected}.", nameof(bytes));
        Name = name;
        Type = type;
        Shape = shape;
        Bytes = bytes;
    }

    /// <summary>The tensor's name.</summary>
    public string Name { get; }

    /// <summary>The element type.</summary>
    public SafetensorsType Type { get; }

    /// <summary>The dimensions, outermost first.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>The elements, little-endian, row-major.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>A tensor of one dimension with a copy of <paramref name="values"/>.</summary>
    public static SafetensorsTensor Of<T>(string name, ReadOnlySpan<T> values) where T : unmanaged
        => Of(name, values, [values.Length]);

    /// <summary>A tensor with a copy of <paramref name="values"/>, row-major.</summary>
    /// <exception cref="ArgumentException">The shape does not hold that many values.</exception>
    public static SafetensorsTensor Of<T>(string name, ReadOnlySpan<T> values, ImmutableArray<long> shape) where T : unmanaged
        => new(name, SafetensorsTypes.Of<T>(), shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A matrix as a tensor <c>[rows, columns]</c> of <c>F32</c>.</summary>
    public static SafetensorsTensor Of(string name, Matrix values) => Of(name, values.Values, [values.Rows, values.Columns]);

    /// <summary>A tensor of any type over bytes as they shall lie in the file; nothing is copied.</summary>
    /// <exception cref="ArgumentException">Type and shape take another number of bytes.</exception>
    public static SafetensorsTensor OfBytes(
        string name, SafetensorsType type, ImmutableArray<long> shape, ReadOnlyMemory<byte> bytes)
        => new(name, type, shape, bytes);
}
