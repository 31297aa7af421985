using System.Numerics.Tensors;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>Reads floating point outputs of any precision as float32.</summary>
public static class Singles
{
    /// <summary>Copies a tensor's elements.</summary>
    public static float[] ToSingles(this OrtValue value)
    {
        var result = new float[value.Length];
        value.CopySingles(0, result);
        return result;
    }

    /// <summary>Copies elements from <paramref name="start"/> on.</summary>
    /// <exception cref="OnnxException">The tensor is not floating point.</exception>
    public static void CopySingles(this OrtValue value, long start, Span<float> destination)
    {
        var from = (int)start;
        switch (value.ElementType)
        {
            case ElementType.Float:
                value.Span<float>().Slice(from, destination.Length).CopyTo(destination);
                break;
            case ElementType.Float16:
                TensorPrimitives.ConvertToSingle(value.Span<Half>().Slice(from, destination.Length), destination);
                break;
            case ElementType.BFloat16:
                for (var i = 0; i < destination.Length; i++)
                    destination[i] = value.Span<BFloat16>()[from + i].ToSingle();
                break;
            case ElementType.Double:
                TensorPrimitives.ConvertTruncating(value.Span<double>().Slice(from, destination.Length), destination);
                break;
            default:
                throw new OnnxException($"{value} is not floating point.");
        }
    }
}
