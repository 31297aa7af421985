using System.Collections.Concurrent;
using Microsoft.Win32.SafeHandles;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Storage;

/// <summary>
/// Writes new files and brings them to the device on a second thread, one while the next is written, and a long one while
/// it goes on: the device is the slow part.
/// </summary>
internal sealed class DurableFiles : IDisposable
{
    // Often enough that the device has work, seldom enough that it writes long runs.
    private const long FlushedAtOnce = 1 << 26;

    private readonly BlockingCollection<(SafeFileHandle File, bool IsDone)> _queue = [];
    private readonly List<SafeFileHandle> _open = [];
    private readonly Task _flushing;

    public DurableFiles() => _flushing = Task.Factory.StartNew(Flush, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Writes a new file, and the folders above it.</summary>
    public void Write(string path, ByteSource source, CancellationToken cancel) => Fill(Create(path, source.Length), source, cancel);

    /// <summary>Copies a file; where the file system can, both share their blocks until one changes.</summary>
    public void Copy(string from, string to, CancellationToken cancel)
    {
        if (RealFile.LengthOf(from) == 0)
        {
            // What has no bytes may be a pipe, and reading that may wait forever.
            Write(to, ByteSource.From(default), cancel);
            return;
        }
        using var source = File.OpenHandle(from, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        // A clone may not have space of its own yet.
        var target = Create(to, 0);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(target, File.GetUnixFileMode(source) | UnixFileMode.UserRead | UnixFileMode.UserWrite);
        if (Clone.TryShare(source, target))
            _queue.Add((target, true), cancel);
        else
            Fill(target, ByteSource.Open(from), cancel);
    }

    /// <summary>Waits until everything is on the device.</summary>
    public void Complete()
    {
        _queue.CompleteAdding();
        _flushing.GetAwaiter().GetResult();
    }

    public void Dispose()
    {
        _queue.CompleteAdding();
        ((IAsyncResult)_flushing).AsyncWaitHandle.WaitOne();
        foreach (var file in _open)
            file.Dispose();
        _queue.Dispose();
    }

    private SafeFileHandle Create(string path, long length)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.None, length);
        _open.Add(file);
        return file;
    }

    private void Fill(SafeFileHandle file, ByteSource source, CancellationToken cancel)
    {
        source.ForEach((offset, part) =>
        {
            RandomAccess.Write(file, part, offset);
            if (offset / FlushedAtOnce != (offset + part.Length) / FlushedAtOnce)
                _queue.Add((file, false), cancel);
        }, cancel);
        _queue.Add((file, true), cancel);
    }

    private void Flush()
    {
        foreach (var (file, isDone) in _queue.GetConsumingEnumerable())
        {
            RandomAccess.FlushToDisk(file);
            if (isDone)
                file.Dispose();
        }
    }
}
