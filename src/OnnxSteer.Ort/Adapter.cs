using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>
/// Parameters that replace a model's overridable initializers of the same names, in the runs whose <see cref="RunOptions"/> name
/// the adapter (an <c>.onnx_adapter</c> file; ONNX Runtime's "LoRA adapter").
/// </summary>
/// <remarks>One adapter serves any number of sessions and threads.</remarks>
public sealed unsafe class Adapter : OrtObject
{
    private Adapter(void* created)
        : base(new OrtHandle(created, OrtLibrary.Api->ReleaseLoraAdapter))
    {
    }

    /// <summary>Reads an adapter file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="OrtException">The file is no adapter.</exception>
    public static Adapter Load(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no adapter file '{path}'.", path);
        void* created;
        using var native = NativeString.Path(path);
        OrtStatus.Check(OrtLibrary.Api->CreateLoraAdapter(native, null, &created));
        return new Adapter(created);
    }

    /// <summary>Reads an adapter from the bytes of its file, which are copied.</summary>
    /// <param name="bytes">The whole file.</param>
    /// <exception cref="OrtException">The bytes are no adapter.</exception>
    public static Adapter Load(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            throw new ArgumentException("The adapter has no bytes.", nameof(bytes));
        void* created;
        fixed (byte* start = bytes)
            OrtStatus.Check(OrtLibrary.Api->CreateLoraAdapterFromArray(start, (nuint)bytes.Length, null, &created));
        return new Adapter(created);
    }
}
