using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

public sealed unsafe partial class OrtValue
{
    /// <summary>A tensor over an array, without copying: writing to one writes to the other.</summary>
    /// <param name="data">The elements, in row-major order. Pinned until the value is disposed and its runs are over.</param>
    /// <param name="shape">The dimensions, whose product is the array's length; none for a scalar.</param>
    /// <exception cref="ArgumentException">Length and shape differ.</exception>
    /// <exception cref="NotSupportedException">No element type is a <typeparamref name="T"/>.</exception>
    public static OrtValue FromMemory<T>(T[] data, params ReadOnlySpan<long> shape)
        where T : unmanaged => FromMemory(new Memory<T>(data ?? throw new ArgumentNullException(nameof(data))), shape);

    /// <summary>A tensor over memory, without copying: writing to one writes to the other.</summary>
    /// <param name="data">The elements, in row-major order. Pinned until the value is disposed and its runs are over.</param>
    /// <param name="shape">The dimensions, whose product is the number of elements; none for a scalar.</param>
    /// <exception cref="ArgumentException">Length and shape differ.</exception>
    /// <exception cref="NotSupportedException">No element type is a <typeparamref name="T"/>.</exception>
    public static OrtValue FromMemory<T>(Memory<T> data, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        var type = ElementTypes.Of<T>();
        var elements = ElementCount(shape);
        if (elements != data.Length)
            throw Mismatch($"{data.Length} elements", $"{elements}", shape);
        return Wrap(type, data.Pin(), (long)data.Length * Unsafe.SizeOf<T>(), shape);
    }

    /// <summary>A tensor over raw bytes, without copying, for every element type but strings.</summary>
    /// <param name="type">What the bytes hold.</param>
    /// <param name="data">The elements, in row-major order and the machine's byte order.</param>
    /// <param name="shape">The dimensions; none for a scalar.</param>
    /// <exception cref="ArgumentException">The number of bytes is not that of the shape.</exception>
    /// <exception cref="NotSupportedException">Elements of this type have no fixed size.</exception>
    public static OrtValue FromMemory(ElementType type, Memory<byte> data, params ReadOnlySpan<long> shape)
    {
        var bytes = type.ByteLength(ElementCount(shape));
        if (bytes != data.Length)
            throw Mismatch($"{data.Length} bytes", $"{bytes} bytes of {type}", shape);
        return Wrap(type, data.Pin(), bytes, shape);
    }

    /// <summary>A tensor of strings, which are copied.</summary>
    /// <param name="data">The elements, in row-major order.</param>
    /// <param name="shape">The dimensions, whose product is the number of elements; none for a scalar.</param>
    /// <exception cref="ArgumentException">Length and shape differ.</exception>
    public static OrtValue FromStrings(ReadOnlySpan<string> data, params ReadOnlySpan<long> shape)
    {
        var elements = ElementCount(shape);
        if (elements != data.Length)
            throw Mismatch($"{data.Length} elements", $"{elements}", shape);
        var value = Allocate(ElementType.String, shape);
        try
        {
            using var use = value.Use();
            for (var i = 0; i < data.Length; i++)
            {
                ArgumentNullException.ThrowIfNull(data[i], nameof(data));
                byte* buffer;
                var length = Encoding.UTF8.GetByteCount(data[i]);
                OrtStatus.Check(OrtLibrary.Api->GetResizedStringTensorElementBuffer(
                    use.Pointer, (nuint)i, (nuint)length, &buffer));
                Encoding.UTF8.GetBytes(data[i], new Span<byte>(buffer, length));
            }
            return value;
        }
        catch
        {
            value.Dispose();
            throw;
        }
    }

    /// <summary>A tensor in memory of ONNX Runtime's own; numbers are undefined until written, strings are empty.</summary>
    /// <param name="type">The elements' type.</param>
    /// <param name="shape">The dimensions; none for a scalar.</param>
    /// <exception cref="ArgumentException">A dimension is negative.</exception>
    public static OrtValue Allocate(ElementType type, params ReadOnlySpan<long> shape)
    {
        ElementCount(shape);
        void* created;
        fixed (long* sizes = shape)
            OrtStatus.Check(OrtLibrary.Api->CreateTensorAsOrtValue(
                OrtEnvironment.Allocator, sizes, (nuint)shape.Length, type, &created));
        return new OrtValue(created) { description = new(ValueKind.Tensor, type, shape.ToArray()) };
    }

    /// <summary>A copy of a string tensor's elements, in row-major order.</summary>
    /// <exception cref="InvalidOperationException">This is no tensor of strings.</exception>
    public string[] Strings()
    {
        var tensor = Describe();
        if (tensor.ElementType != ElementType.String)
            throw new InvalidOperationException($"The value is {this}, not a tensor of strings. Use Span<T>() or Bytes().");
        using var use = Use();
        nuint total;
        OrtStatus.Check(OrtLibrary.Api->GetStringTensorDataLength(use.Pointer, &total));
        var bytes = ArrayPool<byte>.Shared.Rent(checked((int)total + 1));
        var starts = new nuint[tensor.Length + 1];
        try
        {
            fixed (byte* text = bytes)
            fixed (nuint* offsets = starts)
                OrtStatus.Check(OrtLibrary.Api->GetStringTensorContent(use.Pointer, text, total, offsets, (nuint)tensor.Length));
            starts[^1] = total;
            var strings = new string[tensor.Length];
            for (var i = 0; i < strings.Length; i++)
                strings[i] = Encoding.UTF8.GetString(bytes, (int)starts[i], (int)(starts[i + 1] - starts[i]));
            return strings;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static OrtValue Wrap(ElementType type, MemoryHandle pin, long bytes, ReadOnlySpan<long> shape)
    {
        try
        {
            void* created;
            fixed (long* sizes = shape)
                OrtStatus.Check(OrtLibrary.Api->CreateTensorWithDataAsOrtValue(
                    OrtEnvironment.CpuMemory, pin.Pointer, (nuint)bytes, sizes, (nuint)shape.Length, type, &created));
            return new OrtValue(created, pin) { description = new(ValueKind.Tensor, type, shape.ToArray()) };
        }
        catch
        {
            pin.Dispose();
            throw;
        }
    }

    private static long ElementCount(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (var size in shape)
        {
            if (size < 0)
                throw new ArgumentException($"A dimension of [{Text(shape)}] is negative; a tensor's dimensions are 0 or more.",
                    nameof(shape));
            count = checked(count * size);
        }
        return count;
    }

    private static ArgumentException Mismatch(string given, string expected, ReadOnlySpan<long> shape) =>
        new($"There are {given}, but the shape [{Text(shape)}] takes {expected}.", nameof(shape));

    private static string Text(ReadOnlySpan<long> shape) => string.Join(",", shape.ToArray());
}
