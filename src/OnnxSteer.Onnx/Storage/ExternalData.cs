using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Onnx.Storage;

/// <summary>External tensor data (docs/ExternalData.md of the ONNX specification): never followed outside the model's folder.</summary>
internal static class ExternalData
{
    /// <summary>
    /// The paths of the data files that a model names, each once, and of those that undoing its patches needs; files that are not
    /// written yet are not among them.
    /// </summary>
    public static IReadOnlyCollection<string> Files(Model model) =>
        [.. model.ExternalTensors.Select(tensor => (tensor.External!.Location, Reader: ReaderOf(tensor))).DistinctBy(entry => entry.Location)
            .Concat(PatchRecord.FilesOf(model).Select(file => (file, "the record of a patch")))
            .Where(entry => !model.NewFiles.ContainsKey(entry.Item1)).Select(entry => Resolve(model, entry.Item1, entry.Item2)).Distinct()];

    /// <summary>Checks that every external tensor lies within its file and every file within the folder.</summary>
    public static void Check(Model model)
    {
        var lengths = new Dictionary<string, long>();
        foreach (var tensor in model.ExternalTensors)
        {
            var external = tensor.External!;
            if (!lengths.TryGetValue(external.Location, out var fileLength))
                lengths[external.Location] = fileLength = model.NewFiles.TryGetValue(external.Location, out var file) ? file.Length : LengthOf(Resolve(model, external.Location, ReaderOf(tensor)), tensor);
            var length = tensor.DataType.Bits() == 0 ? external.Length ?? 0 : tensor.ByteLength;
            if (external.Length is { } stated && stated != 0 && stated != length)
                throw new OnnxException($"{model.Source.Name}: tensor '{tensor.Name}' has shape [{string.Join(", ", tensor.Dims)}] of {tensor.DataType.Name()}, {length} bytes, but says that {stated} lie in '{external.Location}'. The model does not belong to its data file, or is damaged.");
            if (external.Offset < 0 || length < 0 || external.Offset > fileLength - length)
                throw new OnnxException($"{model.Source.Name}: tensor '{tensor.Name}' wants {length} bytes from byte {external.Offset} on of '{external.Location}', which has {fileLength}. The data file is cut short or belongs to another model.");
        }
    }

    /// <summary>The path of a data file.</summary>
    /// <param name="model">The model.</param>
    /// <param name="location">What the model says.</param>
    /// <param name="reader">Who wants it, for messages.</param>
    /// <exception cref="OnnxException">The location is absolute or leads out of the folder.</exception>
    public static string Resolve(Model model, string location, string reader)
    {
        if (model.Folder is null)
            throw new OnnxException($"{model.Source.Name}: the data of {reader} lie outside the model in '{location}', but the model was read from memory without a folder. Say which folder its data are in.");
        // Both separators and drive letters on every platform: a model travels.
        var steps = location.Split('/', '\\');
        if (steps[0].Length == 0 || location.Contains(':', StringComparison.Ordinal) || location.Contains('\0', StringComparison.Ordinal) || steps.Contains(".."))
            throw new OnnxException($"{model.Source.Name}: the external data location '{location}' of {reader} leads out of the model's folder. Only paths below the folder are followed.");
        return Path.GetFullPath(Path.Combine([model.Folder, .. steps]));
    }

    private static string ReaderOf(Tensor tensor) => $"tensor '{tensor.Name}'";

    private static long LengthOf(string path, Tensor tensor) =>
        RealFile.LengthOf(path)
        ?? throw new OnnxException($"{path}: this data file is missing, or is not a file; tensor '{tensor.Name}' and maybe others lie in it. Copy it beside the model.");
}
