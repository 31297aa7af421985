namespace OnnxSteer.Onnx.Storage;

/// <summary>How a model folder is written.</summary>
public sealed record SaveOptions
{
    /// <summary>Replace an existing folder.</summary>
    public bool Force { get; init; }

    /// <summary>
    /// Hard-link data files instead of copying them. Instant, but the Python onnx library from 1.21 on then refuses both
    /// folders. Across file systems they are copied all the same.
    /// </summary>
    public bool Link { get; init; }

    /// <summary>Files to write besides, by name, in place of those of the source folder; null leaves such a file out.</summary>
    public IReadOnlyDictionary<string, byte[]?> Extra { get; init; } = new Dictionary<string, byte[]?>();
}

/// <summary>Writes a model with its data and companions as a folder that is complete or absent.</summary>
public static class ModelFolder
{
    // Tokenizers and configurations are smaller, weights of other models larger.
    private const long MaxCompanionBytes = 50 << 20;
    private const int MaxCompanions = 2000;

    /// <summary>
    /// Writes the model under its own file name, its data files, and every other non-model file of its folder up to 50 MB.
    /// Everything goes to a temporary folder beside the target, which is renamed at the end.
    /// </summary>
    /// <exception cref="OnnxException">The target exists and is not to be replaced; or it is, holds or lies in the source folder; or writing failed. Nothing is left behind.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; nothing is left behind.</exception>
    public static void SaveTo(this Model model, string target, SaveOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new SaveOptions();
        if (model.Folder is not { } source || !File.Exists(model.Source.Name))
            throw new OnnxException($"{model.Source.Name}: this model was not read from a file, so there is no folder to take its companions from.");
        target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        CheckTarget(source, target, options.Force);
        var parent = Path.GetDirectoryName(target)!;
        var created = MissingAncestors(parent);
        var staging = Path.Combine(parent, $".{Path.GetFileName(target)}.{Guid.NewGuid():N}.tmp");
        try
        {
            Directory.CreateDirectory(staging);
            foreach (var file in Companions(model, source).Where(file => !options.Extra.ContainsKey(file)))
                Copy(Path.Combine(source, file), Path.Combine(staging, file), link: false, cancel);
            foreach (var file in ExternalData.Locations(model))
                Copy(ExternalData.Resolve(model, file), Path.Combine(staging, file), options.Link, cancel);
            foreach (var (name, bytes) in options.Extra.Where(file => file.Value is not null))
                AtomicFile.Write(Path.Combine(staging, name), stream => stream.Write(bytes));
            AtomicFile.Write(Path.Combine(staging, Path.GetFileName(model.Source.Name)), stream => model.Source.CopyTo(stream, cancel));
            cancel.ThrowIfCancellationRequested();
            Publish(staging, target);
        }
        catch (Exception e)
        {
            Discard(staging, created);
            if (e is IOException or UnauthorizedAccessException)
                throw new OnnxException($"{target}: the folder cannot be written: {e.Message} Nothing was changed.", e);
            throw;
        }
    }

    private static void CheckTarget(string source, string target, bool force)
    {
        var (from, to) = (RealPath(source), RealPath(target));
        if (from.Equals(to, PathComparison))
            throw new OnnxException($"{target}: this is the source model's own folder, which is never written to. Name another one.");
        if (IsInside(to, from))
            throw new OnnxException($"{target}: this lies inside the source model's folder '{source}', which is never written to. Name a folder outside.");
        if (IsInside(from, to))
            throw new OnnxException($"{target}: the source model's folder '{source}' lies inside it, so it cannot be replaced. Name another folder.");
        if (File.Exists(target))
            throw new OnnxException($"{target}: this is a file; a folder to write was expected.");
        if (Directory.Exists(target) && !force)
            throw new OnnxException($"{target}: the folder exists. Name a new one, or use --force to replace it.");
    }

    private static IEnumerable<string> Companions(Model model, string source)
    {
        var data = ExternalData.Locations(model).Select(location => Path.GetFullPath(Path.Combine(source, location))).ToHashSet();
        var walk = new EnumerationOptions { AttributesToSkip = FileAttributes.None, RecurseSubdirectories = false };
        var folders = new Queue<string>([source]);
        var count = 0;
        while (folders.TryDequeue(out var folder))
        {
            foreach (var file in Directory.EnumerateFiles(folder, "*", walk).Order(StringComparer.Ordinal))
            {
                if (IsModelFile(file) || data.Contains(file) || LengthOf(file) is null or > MaxCompanionBytes)
                    continue;
                if (++count > MaxCompanions)
                    throw new OnnxException($"{source}: the model's folder holds more than {MaxCompanions} other files, which would all be copied. Put the model and what belongs to it into a folder of its own.");
                yield return Path.GetRelativePath(source, file);
            }
            // A link to a folder may lead anywhere, in circles too.
            foreach (var inner in Directory.EnumerateDirectories(folder, "*", walk))
                if (!Path.GetFileName(inner).StartsWith('.') && new DirectoryInfo(inner).LinkTarget is null)
                    folders.Enqueue(inner);
        }
    }

    private static bool IsModelFile(string file)
    {
        var name = Path.GetFileName(file);
        return name.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".ort", StringComparison.OrdinalIgnoreCase)
            || name.Contains(".onnx.data", StringComparison.OrdinalIgnoreCase) || name.Contains(".onnx_data", StringComparison.OrdinalIgnoreCase);
    }

    private static long? LengthOf(string file)
    {
        var info = new FileInfo(file);
        return (info.LinkTarget is null ? info : info.ResolveLinkTarget(returnFinalTarget: true)) is FileInfo { Exists: true } real ? real.Length : null;
    }

    private static void Copy(string from, string to, bool link, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        Directory.CreateDirectory(Path.GetDirectoryName(to)!);
        if (link && HardLink.TryCreate(RealPath(from), to))
            return;
        // On Linux and macOS this clones the blocks where the file system can.
        File.Copy(RealPath(from), to);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(to, File.GetUnixFileMode(to) | UnixFileMode.UserWrite);
        using var handle = File.OpenHandle(to, FileMode.Open, FileAccess.Write);
        RandomAccess.FlushToDisk(handle);
    }

    private static void Publish(string staging, string target)
    {
        if (!Directory.Exists(target))
        {
            Directory.Move(staging, target);
            return;
        }
        var old = $"{staging}.old";
        Directory.Move(target, old);
        try
        {
            Directory.Move(staging, target);
        }
        catch
        {
            Directory.Move(old, target);
            throw;
        }
        Directory.Delete(old, recursive: true);
    }

    private static List<string> MissingAncestors(string? folder)
    {
        var missing = new List<string>();
        for (; folder is not null && !Directory.Exists(folder); folder = Path.GetDirectoryName(folder))
            missing.Add(folder);
        return missing;
    }

    private static void Discard(string staging, List<string> createdParents)
    {
        if (Directory.Exists(staging))
            Directory.Delete(staging, recursive: true);
        foreach (var folder in createdParents.Where(folder => Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()))
            Directory.Delete(folder);
    }

    private static bool IsInside(string path, string folder) =>
        path.StartsWith(Path.EndsInDirectorySeparator(folder) ? folder : folder + Path.DirectorySeparatorChar, PathComparison);

    private static StringComparison PathComparison =>
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;

    // The path with every link on the way resolved; what does not exist yet is kept as it is.
    private static string RealPath(string path)
    {
        path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Path.GetDirectoryName(path) is not { } parent)
            return path;
        var here = Path.Combine(RealPath(parent), Path.GetFileName(path));
        FileSystemInfo info = Directory.Exists(here) ? new DirectoryInfo(here) : new FileInfo(here);
        return info.LinkTarget is null || info.ResolveLinkTarget(returnFinalTarget: true) is not { } real ? here : RealPath(real.FullName);
    }
}
