namespace OnnxSteer.Onnx.Storage;

/// <summary>Writes files so that a reader sees the old content or the new one, never a part.</summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes a file through a temporary file beside it: write, flush to the device, rename. When <paramref name="write"/>
    /// throws, the target is untouched, and the temporary file and folders made for it are gone.
    /// </summary>
    /// <exception cref="OnnxException">The file cannot be written there.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        if (string.IsNullOrWhiteSpace(path) || Path.GetFileName(path).Length == 0)
            throw new OnnxException($"'{path}' names no file.");
        var full = Path.GetFullPath(path);
        var folder = Path.GetDirectoryName(full)!;
        var created = NewFolders.Missing(folder);
        var temporary = Path.Combine(folder, $".onnxsteer-{Guid.NewGuid():N}.tmp");
        try
        {
            Directory.CreateDirectory(folder);
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, full, overwrite: true);
        }
        catch (Exception e)
        {
            if (File.Exists(temporary))
                File.Delete(temporary);
            NewFolders.Remove(created);
            if (e is IOException or UnauthorizedAccessException)
                throw new OnnxException($"{path}: the file cannot be written: {e.Message}", e);
            throw;
        }
    }
}
