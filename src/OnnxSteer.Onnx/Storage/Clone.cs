using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace OnnxSteer.Onnx.Storage;

/// <summary>Second names and cheap copies of a file's data, which .NET has no calls for.</summary>
internal static class Clone
{
    // FICLONE of linux/fs.h: _IOW(0x94, 9, int).
    private const nuint ShareBlocks = 0x40049409;

    /// <summary>Gives a file a second name; false where the file system, or the border between two, forbids it.</summary>
    public static bool TryLink(string existing, string link) =>
        OperatingSystem.IsWindows() ? CreateHardLink(link, existing, 0) : Link(existing, link) == 0;

    /// <summary>Makes an empty file share all blocks of another until one of them changes; false where the file system cannot.</summary>
    public static bool TryShare(SafeFileHandle from, SafeFileHandle to) => OperatingSystem.IsLinux() && Control(to, ShareBlocks, from) == 0;

    [DllImport("libc", EntryPoint = "link", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Link([MarshalAs(UnmanagedType.LPUTF8Str)] string existing, [MarshalAs(UnmanagedType.LPUTF8Str)] string link);

    [DllImport("libc", EntryPoint = "ioctl")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Control(SafeFileHandle file, nuint request, SafeFileHandle argument);

    [DllImport("kernel32", EntryPoint = "CreateHardLinkW", CharSet = CharSet.Unicode)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static extern bool CreateHardLink(string link, string existing, nint reserved);
}
