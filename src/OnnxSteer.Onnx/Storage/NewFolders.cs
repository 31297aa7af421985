namespace OnnxSteer.Onnx.Storage;

/// <summary>Folders that writing makes on its way, to be removed when it fails.</summary>
internal static class NewFolders
{
    /// <summary>The folder and those around it that do not exist, innermost first.</summary>
    public static IReadOnlyList<string> Missing(string? folder)
    {
        var missing = new List<string>();
        for (; folder is not null && !Directory.Exists(folder); folder = Path.GetDirectoryName(folder))
            missing.Add(folder);
        return missing;
    }

    /// <summary>Removes those that were made meanwhile and are empty.</summary>
    public static void Remove(IReadOnlyList<string> folders)
    {
        foreach (var folder in folders.Where(folder => Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()))
            Directory.Delete(folder);
    }
}
