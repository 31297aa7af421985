using System.Runtime.InteropServices;

namespace OnnxSteer.Ort.Native;

/// <summary>Files of external data in memory, pinned as long as a session may read them.</summary>
internal sealed unsafe class NativeFiles(IReadOnlyDictionary<string, byte[]> files) : IDisposable
{
    private readonly GCHandle[] pins = [.. files.Values.Select(bytes => GCHandle.Alloc(bytes, GCHandleType.Pinned))];

    /// <summary>Names them in session options.</summary>
    public void AddTo(void* options)
    {
        nint[] names = [.. files.Keys.Select(name => OperatingSystem.IsWindows() ? Marshal.StringToCoTaskMemUni(name) : Marshal.StringToCoTaskMemUTF8(name))];
        nint[] buffers = [.. pins.Select(pin => pin.AddrOfPinnedObject())];
        nuint[] lengths = [.. files.Values.Select(bytes => (nuint)bytes.Length)];
        try
        {
            fixed (nint* name = names, buffer = buffers)
            fixed (nuint* length = lengths)
                OrtStatus.Check(OrtLibrary.Api->AddExternalInitializersFromFilesInMemory(options, (byte**)name, (byte**)buffer, length, (nuint)names.Length));
        }
        finally
        {
            foreach (var name in names)
                Marshal.FreeCoTaskMem(name);
        }
    }

    public void Dispose()
    {
        foreach (var pin in pins)
            pin.Free();
    }
}
