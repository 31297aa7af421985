using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>An input or output of a run: a tensor, or a sequence, map or optional of them.</summary>
/// <remarks>
/// Values may be read from several threads, and be inputs of several runs, at once. A span is good for as long as the value is
/// neither disposed nor collected: keep the value in a <c>using</c> while you use its span.
/// </remarks>
public sealed unsafe partial class OrtValue : OrtObject
{
    private Description? description;

    internal OrtValue(void* created, IDisposable? keep = null)
        : base(new OrtHandle(created, OrtLibrary.Api->ReleaseValue, keep))
    {
    }

    /// <summary>Tensor, sequence, map or optional.</summary>
    public ValueKind Kind => Describe().Kind;

    /// <summary>The type of a tensor's elements; undefined for what is no tensor.</summary>
    public ElementType ElementType => Describe().ElementType;

    /// <summary>A tensor's dimensions; empty for a scalar and for what is no tensor.</summary>
    public ReadOnlySpan<long> Shape => Describe().Shape;

    /// <summary>How many elements the tensor has: the product of its dimensions, 1 for a scalar.</summary>
    public long Length => Describe().Length;

    /// <summary>Whether an optional holds something; true for everything else.</summary>
    public bool HasValue
    {
        get
        {
            using var use = Use();
            int has;
            OrtStatus.Check(OrtLibrary.Api->HasValue(use.Pointer, &has));
            return has != 0;
        }
    }

    /// <summary>How many values a sequence has; 2 for a map (its keys and its values).</summary>
    /// <exception cref="OrtException">This is a tensor.</exception>
    public int Count
    {
        get
        {
            using var use = Use();
            nuint count;
            OrtStatus.Check(OrtLibrary.Api->GetValueCount(use.Pointer, &count));
            return checked((int)count);
        }
    }

    /// <summary>A copy of one value of a sequence; of a map, 0 gives the keys and 1 the values.</summary>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    /// <exception cref="OrtException">This is a tensor, or there is no such value.</exception>
    public OrtValue Element(int index)
    {
        using var use = Use();
        void* element;
        OrtStatus.Check(OrtLibrary.Api->GetValue(use.Pointer, index, OrtEnvironment.Allocator, &element));
        return new OrtValue(element);
    }

    /// <summary>The elements in row-major order, in place: writing writes the tensor.</summary>
    /// <typeparam name="T">The .NET type of <see cref="ElementType"/>.</typeparam>
    /// <exception cref="InvalidOperationException">The elements are of another type, or not in this process's memory.</exception>
    public Span<T> Span<T>()
        where T : unmanaged
    {
        var tensor = Tensor();
        if (tensor.ElementType != ElementTypes.Of<T>())
            throw new InvalidOperationException($"The tensor's elements are {tensor.ElementType}, not {typeof(T).Name} "
                + $"({ElementTypes.Of<T>()}). Ask for the span of its own type, or for Bytes().");
        return new Span<T>(Data(), SpanLength(tensor.Length));
    }

    /// <summary>The tensor's bytes in place, whatever its elements are (but no strings).</summary>
    /// <exception cref="InvalidOperationException">The elements are strings, or not in this process's memory.</exception>
    public Span<byte> Bytes()
    {
        var tensor = Tensor();
        return new Span<byte>(Data(), SpanLength(tensor.ElementType.ByteLength(tensor.Length)));
    }

    /// <summary>For people: element type and shape.</summary>
    public override string ToString()
    {
        if (IsDisposed)
            return "(disposed)";
        var value = Describe();
        return value.Kind == ValueKind.Tensor ? $"{value.ElementType}[{string.Join(",", value.Shape)}]" : value.Kind.ToString();
    }

    private static int SpanLength(long length) => length <= int.MaxValue
        ? (int)length
        : throw new InvalidOperationException($"The tensor's {length} elements are more than a span can hold ({int.MaxValue}).");

    private Description Tensor()
    {
        var value = Describe();
        if (value.Kind != ValueKind.Tensor)
            throw new InvalidOperationException($"The value is a {value.Kind}, not a tensor. Take its Element(index).");
        if (value.ElementType == ElementType.String)
            throw new InvalidOperationException("The tensor holds strings, which have no span. Use Strings().");
        return value;
    }

    private Description Describe()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        return description ??= ReadDescription();
    }

    private Description ReadDescription()
    {
        using var use = Use();
        ValueKind kind;
        OrtStatus.Check(OrtLibrary.Api->GetValueType(use.Pointer, &kind));
        if (kind != ValueKind.Tensor)
            return new(kind, ElementType.Undefined, []);
        var (type, shape) = TypeReader.OfTensor(use.Pointer);
        return new(kind, type, shape);
    }

    private void* Data()
    {
        using var use = Use();
        void* data, memory;
        int device;
        OrtStatus.Check(OrtLibrary.Api->GetTensorMemoryInfo(use.Pointer, &memory));
        OrtLibrary.Api->MemoryInfoGetDeviceType(memory, &device);
        if (device != 0)
            throw new InvalidOperationException("The tensor is in a device's memory. Bind the output to the CPU to read it.");
        OrtStatus.Check(OrtLibrary.Api->GetTensorMutableData(use.Pointer, &data));
        return data;
    }

    private sealed record Description(ValueKind Kind, ElementType ElementType, long[] Shape)
    {
        public long Length { get; } = ElementCount(Shape);
    }
}
