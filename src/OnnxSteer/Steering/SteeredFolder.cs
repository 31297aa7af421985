using System.Text.Encodings.Web;
using System.Text.Json;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer;

/// <summary>Writes patched models as folders, with <c>onnxsteer.json</c> beside them: what was done, by which map, how to verify it.</summary>
public static class SteeredFolder
{
    /// <summary>The file that says what was done.</summary>
    public const string ManifestName = "onnxsteer.json";

    // What belongs to a model whose graph lies in a subfolder, as in many repositories.
    private static readonly string[] TokenizerFiles =
        ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "config.json", "generation_config.json", "genai_config.json"];

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Applies a patch and writes the folder.</summary>
    /// <exception cref="OnnxException">See <see cref="ModelFolder.SaveTo"/>; nothing is left behind.</exception>
    public static void Write(Model model, GraphPatch patch, string folder, SaveOptions? options = null, CancellationToken cancel = default) =>
        Save(model.Apply(patch), folder, options, cancel);

    /// <summary>Removes the last patch of a model, or all of them, and writes the folder.</summary>
    /// <returns>The patches removed, the last first.</returns>
    /// <exception cref="OnnxException">There is no patch, or the model was changed since by something else.</exception>
    public static IReadOnlyList<PatchRecord> Undo(Model model, bool all, string folder, SaveOptions? options = null, CancellationToken cancel = default)
    {
        var removed = new List<PatchRecord>();
        do
        {
            var last = PatchRecord.All(model) is [.., var record] ? record : null;
            model = PatchRecord.Undo(model);
            removed.Add(last!);
        }
        while (all && PatchRecord.Count(model) > 0);
        Save(model, folder, options, cancel);
        return removed;
    }

    private static void Save(Model model, string folder, SaveOptions? options, CancellationToken cancel)
    {
        var extra = new Dictionary<string, Func<byte[]>?>();
        foreach (var name in TokenizerFiles)
            if (model.Folder is { } own && !File.Exists(Path.Combine(own, name)) && !File.Exists(Path.Combine(own, "tokenizer.json"))
                && Path.GetDirectoryName(own) is { } parent && File.Exists(Path.Combine(parent, "tokenizer.json")) && File.Exists(Path.Combine(parent, name)))
                extra[name] = () => File.ReadAllBytes(Path.Combine(parent, name));
        extra[ManifestName] = PatchRecord.Count(model) == 0 ? null : () => Manifest(model);
        model.SaveTo(folder, (options ?? new SaveOptions()) with { Extra = extra }, cancel);
    }

    private static byte[] Manifest(Model model) => JsonSerializer.SerializeToUtf8Bytes(new
    {
        Tool = Provenance.ThisTool,
        Model = Path.GetFileName(model.Source.Name),
        Bytes = model.Source.Length,
        Patches = PatchRecord.All(model).Select(patch => new { patch.Label, patch.Properties, Before = new { Bytes = patch.Length, patch.Sha256 } }),
        Use = Dials(model) is { Length: > 0 } dials
            ? $"Optional inputs {string.Join(", ", dials)}: float32, one strength or one per batch row; left out, the strength above holds."
            : "Nothing to set: the strength is baked in.",
        Verify = "'onnxsteer unpatch FOLDER --out ORIGINAL' gives back the model before the last patch; its length and SHA-256 are above.",
    }, Json);

    private static string[] Dials(Model model) =>
        [.. PatchRecord.All(model).Select(patch => patch.Properties.GetValueOrDefault("input")).OfType<string>()];
}
