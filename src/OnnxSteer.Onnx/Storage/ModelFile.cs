using System.Text.Json;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Storage;

/// <summary>Finds the model that a path means.</summary>
public static class ModelFile
{
    private static readonly string[] UsualNames = ["model.onnx", "decoder_model.onnx", "decoder_model_merged.onnx"];

    /// <summary>Opens the model that <see cref="Locate"/> finds.</summary>
    public static Model Open(string path) => Model.Open(Locate(path));

    /// <summary>
    /// The model file of a path: the path itself if it is a file; of a folder the file that <c>genai_config.json</c> names,
    /// else <c>model.onnx</c>, <c>decoder_model.onnx</c>, <c>decoder_model_merged.onnx</c>, else the only <c>.onnx</c> file.
    /// </summary>
    /// <exception cref="OnnxException">There is none, or more than one; the message lists them.</exception>
    public static string Locate(string path)
    {
        if (File.Exists(path))
            return path;
        if (!Directory.Exists(path))
            throw new OnnxException($"{path}: there is no such file or folder. A .onnx file, or a folder that holds one, was expected.");
        var named = UsualNames.Prepend(NamedByGenai(path)).OfType<string>().Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists);
        if (named is not null)
            return named;
        var files = Directory.GetFiles(path, "*.onnx").Order(StringComparer.Ordinal).ToList();
        return files.Count switch
        {
            1 => files[0],
            0 when Components(path) is { Count: > 0 } components => throw new OnnxException(
                $"{path}: the folder holds no .onnx file itself, but {(File.Exists(Path.Combine(path, "model_index.json")) ? "a pipeline of " : "")}{components.Count} models in folders. Name one of them: {string.Join(", ", components.Take(20).Select(component => Path.Combine(path, component)))}."),
            0 => throw new OnnxException($"{path}: the folder holds no .onnx file."),
            _ => throw new OnnxException($"{path}: the folder holds {files.Count} models and none is the usual one ({string.Join(", ", UsualNames)}): {string.Join(", ", files.Take(20).Select(Path.GetFileName))}. Name the file."),
        };
    }

    // The folders of a pipeline's models, that which is steered first.
    private static List<string> Components(string path) =>
        [.. Directory.GetDirectories(path).Where(folder => Directory.GetFiles(folder, "*.onnx").Length > 0).Select(folder => Path.GetFileName(folder))
            .OrderBy(name => name is "unet" or "transformer" ? 0 : 1).ThenBy(name => name, StringComparer.Ordinal)];

    // Null where there is no such file, or it names no single decoder.
    private static string? NamedByGenai(string folder)
    {
        var config = Path.Combine(folder, "genai_config.json");
        if (!File.Exists(config))
            return null;
        string? name;
        try
        {
            using var json = JsonDocument.Parse(ByteSource.Open(config).ToArray());
            if (!json.RootElement.TryGetProperty("model", out var model) || !model.TryGetProperty("decoder", out var decoder)
                || !decoder.TryGetProperty("filename", out var file))
                return null;
            name = file.GetString();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new OnnxException($"{config}: no model.decoder.filename can be read from it: {e.Message}", e);
        }
        if (string.IsNullOrEmpty(name) || Path.GetFileName(name) != name || name is "." or "..")
            throw new OnnxException($"{config}: the decoder's file name '{name}' leads out of the folder; a plain file name was expected.");
        return File.Exists(Path.Combine(folder, name)) ? name : throw new OnnxException($"{config} names the model '{name}', which is not in the folder.");
    }
}
