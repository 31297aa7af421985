using System.Runtime.InteropServices;

namespace OnnxSteer.Ort.Native;

/// <summary>Strings to and from ONNX Runtime: UTF-8 with a final zero, except paths, which Windows wants in UTF-16.</summary>
internal static unsafe class Utf8
{
    public static string Read(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";

    /// <summary>Reads a text that ONNX Runtime allocated for the caller, and frees it.</summary>
    public static string Take(byte* text)
    {
        try
        {
            return Read(text);
        }
        finally
        {
            OrtEnvironment.Free(text);
        }
    }
}

/// <summary>A string in native memory until the end of the scope.</summary>
internal readonly unsafe ref struct NativeString : IDisposable
{
    private readonly nint memory;

    private NativeString(nint memory) => this.memory = memory;

    public static NativeString Utf8(string text) => new(Marshal.StringToCoTaskMemUTF8(text));

    /// <summary>A path in the encoding of the platform (<c>ORTCHAR_T</c>).</summary>
    public static NativeString Path(string path) =>
        OperatingSystem.IsWindows() ? new(Marshal.StringToCoTaskMemUni(path)) : Utf8(path);

    public static implicit operator byte*(NativeString text) => (byte*)text.memory;

    public void Dispose() => Marshal.FreeCoTaskMem(memory);
}

/// <summary>Keys and values as two native arrays, until the end of the scope.</summary>
internal readonly unsafe ref struct NativeOptions : IDisposable
{
    private readonly nint[] texts;

    public NativeOptions(IReadOnlyDictionary<string, string> options)
    {
        Count = options.Count;
        // On the pinned heap, so that the arrays can be handed out without a scope of their own.
        texts = GC.AllocateArray<nint>(Math.Max(1, 2 * Count), pinned: true);
        var i = 0;
        foreach (var (key, value) in options)
        {
            texts[i] = Marshal.StringToCoTaskMemUTF8(key);
            texts[Count + i++] = Marshal.StringToCoTaskMemUTF8(value);
        }
    }

    public int Count { get; }

    public byte** Keys => (byte**)Marshal.UnsafeAddrOfPinnedArrayElement(texts, 0);

    public byte** Values => Keys + Count;

    public void Dispose()
    {
        foreach (var text in texts)
            Marshal.FreeCoTaskMem(text);
    }
}
