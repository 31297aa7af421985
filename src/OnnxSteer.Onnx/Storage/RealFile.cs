namespace OnnxSteer.Onnx.Storage;

/// <summary>Files and folders behind symbolic links: caches keep models as folders of links.</summary>
internal static class RealFile
{
    // As many as Linux follows.
    private const int MaxLinks = 40;

    /// <summary>Bytes of the file that a path leads to; null where there is none: nothing, a folder, a link that leads nowhere.</summary>
    public static long? LengthOf(string path)
    {
        try
        {
            // Step by step, since .NET takes a relative link in a linked folder for relative to the wrong one.
            return new FileInfo(PathOf(path)) is { Exists: true, Length: var length } ? length : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>The path with every link on the way resolved; what does not exist yet is kept as it is.</summary>
    /// <exception cref="IOException">Links lead in circles.</exception>
    public static string PathOf(string path) => PathOf(path, 0);

    private static string PathOf(string path, int links)
    {
        if (links > MaxLinks)
            throw new IOException($"'{path}' has too many levels of symbolic links.");
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Path.GetDirectoryName(path) is not { } parent)
            return path;
        var here = Path.Combine(PathOf(parent, links), Path.GetFileName(path));
        FileSystemInfo info = Directory.Exists(here) ? new DirectoryInfo(here) : new FileInfo(here);
        return info.LinkTarget is { } target ? PathOf(Path.Combine(Path.GetDirectoryName(here)!, target), links + 1) : here;
    }
}
