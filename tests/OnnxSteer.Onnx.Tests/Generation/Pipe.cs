using System.Runtime.InteropServices;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>A named pipe without a writer: whoever opens it to read waits forever.</summary>
internal static class Pipe
{
    public static void Create(string path) => Assert.Equal(0, MakeFifo(path, 0x1A4));

    [DllImport("libc", EntryPoint = "mkfifo")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MakeFifo([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint mode);
}

/// <summary>A test of what only Unix has: pipes, link counts, permission bits.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class UnixFactAttribute : FactAttribute
{
    public UnixFactAttribute() => Skip = OperatingSystem.IsWindows() ? "needs Unix" : null;
}

/// <summary>Fails what hangs.</summary>
internal static class Patience
{
    public static void WithinAMinute(Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() => failure = Record.Exception(action)) { IsBackground = true };
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromMinutes(1)), "This hangs.");
        if (failure is not null)
            throw new InvalidOperationException(failure.Message, failure);
    }
}
