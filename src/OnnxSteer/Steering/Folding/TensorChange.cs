using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer;

/// <summary>
/// What folding does to a constant tensor: <c>t*Factor + Offset</c>, with a pair for each index of one axis. Computed in float64 and
/// rounded once.
/// </summary>
/// <param name="Axis">The axis of the channels.</param>
/// <param name="Factor">A factor for each channel.</param>
/// <param name="Offset">What is added.</param>
internal sealed record TensorChange(int Axis, double[] Factor, double[] Offset)
{
    /// <summary>This change and then another.</summary>
    public TensorChange Then(TensorChange next) =>
        new(Axis, [.. Factor.Zip(next.Factor, (a, b) => a * b)], [.. Offset.Select((offset, i) => offset * next.Factor[i] + next.Offset[i])]);

    /// <summary>Whether both do the same.</summary>
    public bool Equals(TensorChange? other) => other is not null && Axis == other.Axis && Factor.AsSpan().SequenceEqual(other.Factor) && Offset.AsSpan().SequenceEqual(other.Offset);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Axis, Factor.Length);

    /// <summary>The changed tensor's bytes, reckoned when they are read: weights may be of any size.</summary>
    public ByteSource Of(Tensor tensor)
    {
        var size = tensor.DataType.Bits() / 8;
        var inner = tensor.Dims.Skip(Axis + 1).Aggregate(1L, (product, dim) => product * dim);
        var channels = Factor.Length;
        return ByteSource.Computed(tensor.Name, tensor.ByteLength, (offset, destination) =>
        {
            // Readers may ask for parts of elements.
            var (first, last) = (offset / size, (offset + destination.Length + size - 1) / size);
            var bytes = new byte[(last - first) * size];
            tensor.Read(first * size, bytes);
            for (long i = first, at = 0; i < last; i++, at += size)
            {
                var channel = (int)(i / inner % channels);
                var element = bytes.AsSpan((int)at, size);
                Floats.Write(tensor.DataType, Floats.Read(tensor.DataType, element) * Factor[channel] + Offset[channel], element);
            }
            bytes.AsSpan((int)(offset - first * size), destination.Length).CopyTo(destination);
        });
    }

    /// <summary>A change without offset, along an axis.</summary>
    public static TensorChange Scale(int axis, double[] factor) => new(axis, factor, new double[factor.Length]);
}
