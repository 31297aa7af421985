using System.Diagnostics;
using System.Security.Cryptography;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>A folder as it is: every file's digest, link count and permissions, every link's target.</summary>
internal static class Snapshot
{
    public static SortedDictionary<string, string> Of(string folder)
    {
        var entries = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var path in Directory.EnumerateFileSystemEntries(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None }))
        {
            var info = new FileInfo(path);
            entries[Path.GetRelativePath(folder, path)] = info.LinkTarget is { } target ? $"-> {target}"
                : Directory.Exists(path) ? "folder"
                : $"{Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(path)))} {info.UnixFileMode} {Links(path)}";
        }
        return entries;
    }

    /// <summary>How many names the file's data have.</summary>
    public static string Links(string path)
    {
        if (OperatingSystem.IsWindows())
            return "";
        using var stat = Process.Start(new ProcessStartInfo("stat", OperatingSystem.IsMacOS() ? ["-f", "%l", path] : ["-c", "%h", path]) { RedirectStandardOutput = true })!;
        return stat.StandardOutput.ReadToEnd().Trim();
    }
}
