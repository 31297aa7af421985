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

    /// <summary>Packs a model for a map's sites and writes the folder, with the map at the options' strength as an adapter file in it.</summary>
    /// <returns>The patch, and the adapter file's name.</returns>
    /// <exception cref="OnnxException">See <see cref="ModelFolder.SaveTo"/>; nothing is left behind.</exception>
    public static (GraphPatch Patch, string Adapter) WritePack(
        Model model, SteeringMap map, SteeringOptions options, string folder, SaveOptions? save = null, CancellationToken cancel = default)
    {
        var patch = Steering.Patch(model, map, options with { Mode = Mode.Pack });
        var packed = model.Apply(patch);
        var adapter = AdapterNameOf(patch.Title!.Label);
        var parameters = SteeringAdapter.Of(packed, map, options.Strength, patch.Title.Properties["pack"], options.Force);
        save ??= new SaveOptions();
        Save(packed, folder, save with { Extra = new Dictionary<string, Func<byte[]>?>(save.Extra) { [adapter] = () => AdapterFile.ToBytes(parameters) } }, cancel);
        return (patch, adapter);
    }

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
        // The adapters that came with a pack go with it.
        var save = options ?? new SaveOptions();
        var extra = new Dictionary<string, Func<byte[]>?>(save.Extra);
        foreach (var record in removed.Where(record => record.Properties.ContainsKey("pack")))
            extra.TryAdd(AdapterNameOf(record.Label), null);
        Save(model, folder, save with { Extra = extra }, cancel);
        return removed;
    }

    private static void Save(Model model, string folder, SaveOptions? options, CancellationToken cancel)
    {
        var extra = new Dictionary<string, Func<byte[]>?>(options?.Extra ?? new Dictionary<string, Func<byte[]>?>());
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
        Use = UseOf(PatchRecord.All(model)),
        Verify = "'onnxsteer unpatch FOLDER --out ORIGINAL' gives back the model before the last patch; its length and SHA-256 are above.",
    }, Json);

    private static string[] UseOf(IReadOnlyList<PatchRecord> patches)
    {
        var use = new List<string>();
        foreach (var properties in patches.Select(patch => patch.Properties))
        {
            if (properties.TryGetValue("input", out var dial))
                use.Add($"Optional input {dial}: float32, one strength or one per batch row; left out, {properties["strength"]} holds.");
            if (properties.TryGetValue("choice", out var choice))
                use.Add($"Optional input {choice}: int64, the number of a map ({properties["maps"]}), -1 for none; one or one per batch row; left out, 0.");
            if (properties.ContainsKey("pack"))
                use.Add($"Without an adapter nothing is steered; load a {AdapterFile.Extension} file, and make more with 'onnxsteer pack'.");
        }
        return use.Count > 0 ? [.. use] : ["Nothing to set: the strength is in the graph."];
    }

    // Labels are free text; files are not.
    private static string AdapterNameOf(string label) =>
        string.Concat(label.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_')) + AdapterFile.Extension;
}
