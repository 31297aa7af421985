using System.Collections.Immutable;
using System.Text.Json;

namespace OnnxSteer.Tokenizers;

/// <summary>Where a folder keeps its chat template, and the special tokens that the template may name.</summary>
internal sealed record ChatTemplateFile(string Name, string Template, ImmutableArray<KeyValuePair<string, object?>> Specials)
{
    private const string TemplateName = "chat_template.jinja", ConfigName = "tokenizer_config.json", SpecialsName = "special_tokens_map.json", MoreTemplates = "additional_chat_templates";
    private const long MaximumSize = 1 << 26;

    private static readonly string[] Tokens = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 64 };

    public static ChatTemplateFile Read(string fileOrFolder, bool withTools, string? named)
    {
        var folder = Path.GetFullPath(File.Exists(fileOrFolder) ? Path.GetDirectoryName(Path.GetFullPath(fileOrFolder))! : fileOrFolder);
        if (!Directory.Exists(folder))
            throw new TokenizerException($"There is no folder '{fileOrFolder}'.");
        string[] places = [folder, Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(folder)) ?? folder];
        foreach (var place in places)
        {
            var config = Json(Path.Combine(place, ConfigName));
            if (Templates(place, config) is { Count: > 0 } templates)
            {
                var (file, template) = Chosen(place, templates, withTools, named);
                return new ChatTemplateFile(file, template, ChatTemplate.Members("special tokens", SpecialsOf(place, config)));
            }
        }
        throw new TokenizerException($"Neither '{fileOrFolder}' nor the folder that holds it has a chat template: no {TemplateName}, and no chat_template in {ConfigName}. "
            + "A model that was not made for chats has none; give prompts as plain text.");
    }

    // By name: the file and the template.
    private static Dictionary<string, (string File, string Template)> Templates(string folder, JsonElement? config)
    {
        var templates = new Dictionary<string, (string, string)>();
        var configured = config is { } members && members.TryGetProperty("chat_template", out var found) ? found : default;
        var file = Path.Combine(folder, ConfigName);
        switch (configured.ValueKind)
        {
            case JsonValueKind.Undefined or JsonValueKind.Null:
                break;
            case JsonValueKind.String:
                templates["default"] = ($"{file}: chat_template", Text(file, configured));
                break;
            case JsonValueKind.Array when configured.EnumerateArray().All(entry => entry.ValueKind == JsonValueKind.Object && Has(entry, "name") && Has(entry, "template")):
                foreach (var entry in configured.EnumerateArray())
                    templates[Text(file, entry.GetProperty("name"))] = ($"{file}: chat_template '{Text(file, entry.GetProperty("name"))}'", Text(file, entry.GetProperty("template")));
                break;
            default:
                throw new TokenizerException($"{file}: chat_template is {configured.ValueKind}; a string, or a list of objects with \"name\" and \"template\", was expected.");
        }
        if (Path.Combine(folder, TemplateName) is var single && File.Exists(single))
            templates = new() { ["default"] = (single, Contents(single)) };
        if (Path.Combine(folder, MoreTemplates) is var more && Directory.Exists(more))
            foreach (var other in Directory.EnumerateFiles(more, "*.jinja"))
                templates[Path.GetFileNameWithoutExtension(other)] = (other, Contents(other));
        return templates;

        static bool Has(JsonElement entry, string name) => entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String;
    }

    private static (string File, string Template) Chosen(string folder, Dictionary<string, (string, string)> templates, bool withTools, string? named)
    {
        string[] wanted = named is not null ? [named] : withTools ? ["tool_use", "default"] : ["default"];
        return wanted.Where(templates.ContainsKey).Select(name => ((string, string)?)templates[name]).FirstOrDefault()
            ?? throw new TokenizerException($"'{folder}' has no chat template '{wanted[^1]}'; there are {string.Join(", ", templates.Keys.Order(StringComparer.Ordinal).Select(name => $"'{name}'"))}.");
    }

    // As transformers: older folders keep the special tokens in a file of their own, which then comes first.
    private static JsonElement SpecialsOf(string folder, JsonElement? config)
    {
        var specials = new Dictionary<string, object>();
        Take(config);
        if (config is not { } known || !known.TryGetProperty("added_tokens_decoder", out _))
            Take(Json(Path.Combine(folder, SpecialsName)));
        return JsonSerializer.SerializeToElement(specials);

        void Take(JsonElement? source)
        {
            if (source is not { } members)
                return;
            var extra = members.TryGetProperty("extra_special_tokens", out var more) && more.ValueKind == JsonValueKind.Object ? more.EnumerateObject().ToList() : [];
            foreach (var member in members.EnumerateObject().Where(member => Tokens.Contains(member.Name)).Concat(extra))
                if (Token(member.Value) is { } token)
                    specials[member.Name] = token;
            if (members.TryGetProperty("additional_special_tokens", out var list) && list.ValueKind == JsonValueKind.Array && list.GetArrayLength() > 0)
                specials["additional_special_tokens"] = list.EnumerateArray().Select(Token).OfType<string>().ToList();
        }

        static string? Token(JsonElement value) => value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out var content) ? Token(content)
            : value.ValueKind == JsonValueKind.String && Text(ConfigName, value) is { Length: > 0 } text ? text : null;
    }

    private static string Text(string file, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException exception)
        {
            throw new TokenizerException($"{file}: {exception.Message}", exception);
        }
    }

    private static JsonElement? Json(string file)
    {
        if (!File.Exists(file))
            return null;
        try
        {
            using var document = JsonDocument.Parse(Contents(file), Options);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone()
                : throw new TokenizerException($"{file}: expected an object, found {document.RootElement.ValueKind}.");
        }
        catch (JsonException exception)
        {
            throw new TokenizerException($"{file}: not valid JSON: {exception.Message}", exception);
        }
    }

    private static string Contents(string file)
    {
        try
        {
            return new FileInfo(file).Length <= MaximumSize ? File.ReadAllText(file) : throw new TokenizerException($"{file}: more than {MaximumSize} bytes.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new TokenizerException($"{file}: cannot be read: {exception.Message}", exception);
        }
    }
}
