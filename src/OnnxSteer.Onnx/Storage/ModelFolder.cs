using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Wire;

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

    /// <summary>
    /// Files to write besides, by name, in place of those of the source folder; null leaves such a file out. They are made
    /// last: what tells of a patch waits for the digest, which is taken while the model is copied.
    /// </summary>
    public IReadOnlyDictionary<string, Func<byte[]>?> Extra { get; init; } = new Dictionary<string, Func<byte[]>?>();
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
        if (model.Folder is not { } folder || !File.Exists(model.Source.Name))
            throw new OnnxException($"{model.Source.Name}: this model was not read from a file, so there is no folder to take its companions from.");
        var source = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (string.IsNullOrWhiteSpace(target))
            throw new OnnxException("The folder to write has no name.");
        target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target));
        var parent = Path.GetDirectoryName(target) ?? throw new OnnxException($"{target}: this is the root of the file system; a folder to write was expected.");
        var created = NewFolders.Missing(parent);
        var staging = Path.Combine(parent, $".onnxsteer-{Guid.NewGuid():N}.tmp");
        try
        {
            CheckTarget(source, target, options.Force);
            Directory.CreateDirectory(staging);
            Fill(staging, model, source, options, cancel);
            cancel.ThrowIfCancellationRequested();
            Publish(staging, target);
        }
        catch (Exception e)
        {
            Discard(staging, created);
            if (e is IOException or UnauthorizedAccessException)
                throw new OnnxException($"{target}: the folder cannot be written: {e.Message.TrimEnd('.')}. Nothing was changed.", e);
            throw;
        }
    }

    private static void Fill(string staging, Model model, string source, SaveOptions options, CancellationToken cancel)
    {
        var data = ExternalData.Files(model).ToHashSet(PathComparer);
        var extra = options.Extra.Keys.Select(name => Path.GetFullPath(Path.Combine(source, name))).ToHashSet(PathComparer);
        if (extra.FirstOrDefault(file => !IsInside(file, source)) is { } stray)
            throw new OnnxException($"{stray}: a file to write besides the model must lie in its folder.");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var completing = Task.Run(() => model.Complete(stop.Token), CancellationToken.None);
        using var files = new DurableFiles();
        try
        {
            foreach (var file in Companions(source).Where(file => !data.Contains(file) && !extra.Contains(file)))
                Copy(file, link: false);
            files.Write(Path.Combine(staging, Path.GetFileName(model.Source.Name)), model.Source, cancel);
            foreach (var file in data.Where(file => !extra.Contains(file)))
                Copy(file, options.Link);
            foreach (var (name, content) in model.NewFiles)
                if (model.Needs(name))
                    files.Write(Path.Combine(staging, name), content, cancel);
            foreach (var (name, make) in options.Extra)
                if (make is not null)
                    files.Write(Path.Combine(staging, name), ByteSource.From(make()), cancel);
            files.Complete();
        }
        finally
        {
            stop.Cancel();
            ((IAsyncResult)completing).AsyncWaitHandle.WaitOne();
        }

        void Copy(string from, bool link)
        {
            cancel.ThrowIfCancellationRequested();
            var to = Path.Combine(staging, Path.GetRelativePath(source, from));
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            var real = RealFile.PathOf(from);
            if (!link || !Clone.TryLink(real, to))
                files.Copy(real, to, cancel);
        }
    }

    private static void CheckTarget(string source, string target, bool force)
    {
        var (from, to) = (RealFile.PathOf(source), RealFile.PathOf(target));
        if (PathComparer.Equals(from, to))
            throw new OnnxException($"{target}: this is the source model's own folder, which is never written to. Name another one.");
        if (IsInside(to, from))
            throw new OnnxException($"{target}: this lies inside the source model's folder '{source}', which is never written to. Name a folder outside.");
        if (IsInside(from, to))
            throw new OnnxException($"{target}: the source model's folder '{source}' lies inside it, so it cannot be replaced. Name another folder.");
        if (File.Exists(target))
            throw new OnnxException($"{target}: this is a file; a folder to write was expected.");
        if (Directory.Exists(target) && !force)
            throw new OnnxException($"{target}: the folder exists. Name a new one, or use --force to replace it.");
        // A link gives way, and what it leads to stays.
        if (Directory.Exists(target) && new DirectoryInfo(target).LinkTarget is null && Directory.EnumerateFileSystemEntries(target).Any() && !Directory.EnumerateFiles(target).Any(IsOurs))
            throw new OnnxException($"{target}: the folder holds other things than a model, so it is not replaced. Name a new one, or empty it.");

        // What --force may replace: a folder that an earlier call or an exporter wrote.
        static bool IsOurs(string file) => IsModelFile(file) || Path.GetFileName(file) == "onnxsteer.json";
    }

    private static IEnumerable<string> Companions(string source)
    {
        var walk = new EnumerationOptions { AttributesToSkip = FileAttributes.None, RecurseSubdirectories = false };
        var folders = new Queue<string>([source]);
        var count = 0;
        while (folders.TryDequeue(out var folder))
        {
            foreach (var file in Directory.EnumerateFiles(folder, "*", walk).Order(StringComparer.Ordinal))
            {
                if (IsModelFile(file) || RealFile.LengthOf(file) is null or > MaxCompanionBytes)
                    continue;
                if (++count > MaxCompanions)
                    throw new OnnxException($"{source}: the model's folder holds more than {MaxCompanions} other files, which would all be copied. Put the model and what belongs to it into a folder of its own.");
                yield return file;
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
            || PatchData.IsName(name) || name.Contains(".onnx.data", StringComparison.OrdinalIgnoreCase) || name.Contains(".onnx_data", StringComparison.OrdinalIgnoreCase);
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
        try
        {
            Directory.Delete(old, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OnnxException($"{target}: the folder is written, but what it replaced cannot be deleted: {e.Message} It is now '{old}'.", e);
        }
    }

    private static void Discard(string staging, IReadOnlyList<string> createdParents)
    {
        if (Directory.Exists(staging))
            Directory.Delete(staging, recursive: true);
        NewFolders.Remove(createdParents);
    }

    private static bool IsInside(string path, string folder) =>
        path.StartsWith(Path.EndsInDirectorySeparator(folder) ? folder : folder + Path.DirectorySeparatorChar,
            PathComparer == StringComparer.OrdinalIgnoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);

    private static StringComparer PathComparer { get; } =
        OperatingSystem.IsWindows() || OperatingSystem.IsMacOS() ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal;
}
