using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Prompts of a <c>.jsonl</c> file.</summary>
internal static class JsonPrompts
{
    private const string IdsKey = "ids", MessagesKey = "messages";
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    public static IEnumerable<Prompt> Read(string path, string text, PromptColumns columns)
        => PromptFile.Lines(text).Where(l => !string.IsNullOrWhiteSpace(l.Line))
            .Select(l => ReadRow(path, l.Number, l.Line, columns));

    private static Prompt ReadRow(string path, int line, string json, PromptColumns columns)
    {
        var column = columns.Text ?? PromptFile.DefaultColumn;
        try
        {
            using var document = JsonDocument.Parse(json, Strict);
            var row = document.RootElement;
            if (row.ValueKind != JsonValueKind.Object)
                throw Bad(path, line, $"it is {row.ValueKind}; expected an object as {{\"{column}\": \"...\"}}");
            if (columns.Text is null && row.TryGetProperty(PromptFile.Completion, out _))
                column = !row.TryGetProperty(column, out _) ? PromptFile.Completion
                    : throw Bad(path, line, $"it has both '{column}' and '{PromptFile.Completion}'; expected one of them");
            var prompt = new Prompt(ReadText(path, line, row, column), ReadIds(path, line, row, IdsKey), line)
            {
                Opening = column == PromptFile.Opening ? null : ReadOpening(path, line, row),
                Messages = row.TryGetProperty(column, out _) || row.TryGetProperty(IdsKey, out _) ? null : ReadMessages(path, line, row),
                Label = columns.Label is { } label ? ReadLabel(path, line, row, label) : null,
                Weight = columns.Weight is not { } weight ? 1 : row.TryGetProperty(weight, out var value) ? PromptFile.Weight(path, line, value.GetRawText())
                    : throw Bad(path, line, $"it has no weight '{weight}'"),
            };
            return prompt is { Text: null, Ids: null, Messages: null }
                ? throw Bad(path, line, $"it has neither '{column}' nor '{IdsKey}'; its keys are {Keys(row)}")
                : prompt;
        }
        // GetString throws the second on an escaped half of a surrogate pair.
        catch (Exception cause) when (cause is JsonException or InvalidOperationException)
        {
            throw new OnnxException($"Line {line} of '{path}' is not valid JSON: {cause.Message}", cause);
        }
    }

    private static string? ReadText(string path, int line, JsonElement row, string column)
    {
        if (!row.TryGetProperty(column, out var value))
            return null;
        if (value.ValueKind != JsonValueKind.String)
            throw Bad(path, line, $"'{column}' is {value.ValueKind}; expected a string");
        var text = value.GetString()!;
        return text.Length > 0 ? text : throw Bad(path, line, $"'{column}' is empty; expected a prompt");
    }

    private static string? ReadMessages(string path, int line, JsonElement row)
    {
        if (!row.TryGetProperty(MessagesKey, out var value))
            return null;
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0 || value.EnumerateArray().Any(message => message.ValueKind != JsonValueKind.Object))
            throw Bad(path, line, $"'{MessagesKey}' is no list of messages; expected one as [{{\"role\": \"user\", \"content\": \"...\"}}]");
        return JsonSerializer.Serialize(value);
    }

    private static Prompt? ReadOpening(string path, int line, JsonElement row)
        => !row.TryGetProperty(PromptFile.Opening, out var value) || value is { ValueKind: JsonValueKind.String } && value.GetString()!.Length == 0 ? null
            : value.ValueKind == JsonValueKind.Array ? new Prompt(null, ReadIds(path, line, row, PromptFile.Opening), line)
            : new Prompt(ReadText(path, line, row, PromptFile.Opening), Line: line);

    private static string ReadLabel(string path, int line, JsonElement row, string key)
        => row.TryGetProperty(key, out var value) && value.ValueKind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False
            ? value.ToString()
            : throw Bad(path, line, $"'{key}' is {(value.ValueKind == JsonValueKind.Undefined ? "missing" : value.ValueKind)}; expected the row's label");

    private static ImmutableArray<int>? ReadIds(string path, int line, JsonElement row, string key)
    {
        if (!row.TryGetProperty(key, out var value))
            return null;
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
            throw Bad(path, line, $"'{key}' is {(value.ValueKind == JsonValueKind.Array ? "empty" : value.ValueKind)}; "
                + "expected a list of token ids");
        var ids = ImmutableArray.CreateBuilder<int>(value.GetArrayLength());
        foreach (var item in value.EnumerateArray())
            ids.Add(item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var id) && id >= 0
                ? id
                : throw Bad(path, line, $"'{key}' holds {item.GetRawText()}; expected token ids, whole numbers from 0 on"));
        return ids.MoveToImmutable();
    }

    private static string Keys(JsonElement row)
        => string.Join(", ", row.EnumerateObject().Select(p => $"'{p.Name}'").DefaultIfEmpty("none"));

    private static OnnxException Bad(string path, int line, string what)
        => new($"Line {line} of '{path}' holds no prompt: {what}.");
}
