using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// What files beside a model say of it: <c>genai_config.json</c>, else <c>config.json</c> and <c>generation_config.json</c>, in
/// the model's folder or its parent.
/// </summary>
/// <param name="EosIds">Tokens that end a text.</param>
/// <param name="PadId">The token that fills up rows; any will do, since masks hide it.</param>
/// <param name="ContextLength">How many tokens the model takes, or null where unknown.</param>
/// <param name="KeyValueHeads">Heads of the cache, or null where unknown.</param>
/// <param name="HeadSize">Channels of a head, or null where unknown.</param>
/// <param name="ModelType">The architecture (<c>llama</c>, <c>phi3</c>), or null where unknown.</param>
public sealed record DecoderConfig(ImmutableArray<int> EosIds, int PadId, int? ContextLength, int? KeyValueHeads, int? HeadSize, string? ModelType)
{
    private const long MaxFileBytes = 1 << 24;

    /// <summary>Reads the configuration that belongs to a model; where nothing is said, nothing is known.</summary>
    /// <exception cref="OnnxException">A configuration file that is not readable.</exception>
    public static DecoderConfig Of(Model model)
    {
        foreach (var folder in new[] { model.Folder, Path.GetDirectoryName(model.Folder) }.OfType<string>())
        {
            if (Read(folder, "genai_config.json") is { } genai)
                return OfGenai(genai);
            if (Read(folder, "config.json") is { } config)
                return OfTransformers(config, Read(folder, "generation_config.json"));
        }
        return new DecoderConfig([], 0, null, null, null, null);
    }

    private static DecoderConfig OfGenai(JsonElement root)
    {
        var model = Member(root, "model") ?? default;
        var decoder = Member(model, "decoder") ?? default;
        return Make(Ids(model, "eos_token_id"), Number(model, "pad_token_id"), Number(model, "context_length"),
            Number(decoder, "num_key_value_heads"), Number(decoder, "head_size"), Text(model, "type"));
    }

    private static DecoderConfig OfTransformers(JsonElement config, JsonElement? generation)
    {
        var heads = Number(config, "num_attention_heads") ?? Number(config, "n_head");
        var hidden = Number(config, "hidden_size") ?? Number(config, "n_embd");
        ImmutableArray<int> eos = generation is { } g && Ids(g, "eos_token_id") is { Length: > 0 } ids ? ids : Ids(config, "eos_token_id");
        return Make(eos, Number(config, "pad_token_id"), Number(config, "max_position_embeddings") ?? Number(config, "n_positions"),
            Number(config, "num_key_value_heads") ?? heads, Number(config, "head_dim") ?? (heads > 0 ? hidden / heads : null), Text(config, "model_type"));
    }

    private static DecoderConfig Make(ImmutableArray<int> eos, int? pad, int? context, int? heads, int? size, string? type) =>
        new(eos, pad is >= 0 ? pad.Value : eos is [var first, ..] ? first : 0, context > 0 ? context : null, heads > 0 ? heads : null, size > 0 ? size : null, type);

    private static JsonElement? Read(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        if (!File.Exists(path))
            return null;
        try
        {
            if (new FileInfo(path).Length > MaxFileBytes)
                throw new OnnxException($"{path}: the file is larger than {MaxFileBytes} bytes; a configuration was expected.");
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            return json.RootElement.ValueKind == JsonValueKind.Object ? json.RootElement.Clone()
                : throw new OnnxException($"{path}: a JSON object was expected, this is {json.RootElement.ValueKind}.");
        }
        catch (JsonException e)
        {
            throw new OnnxException($"{path}: not readable as JSON: {e.Message}", e);
        }
    }

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

    private static int? Number(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number) ? number : null;

    private static string? Text(JsonElement element, string name) => Member(element, name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    private static ImmutableArray<int> Ids(JsonElement element, string name) => Member(element, name) switch
    {
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Where(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out _)).Select(id => id.GetInt32())],
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out var id) => [id],
        _ => [],
    };
}
