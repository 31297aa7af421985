using System.Collections.Immutable;
using System.Numerics;
using System.Text.Json;

namespace OnnxSteer.Tokenizers;

/// <summary>What a conversation became.</summary>
/// <param name="Text">The text, special tokens included: it is encoded without further ones.</param>
/// <param name="Generations">Start and end, in UTF-16 units, of each <c>{% generation %}</c> block: what the model is to have said.</param>
public sealed record RenderedChat(string Text, ImmutableArray<(int Start, int End)> Generations);

/// <summary>How a conversation is rendered.</summary>
public sealed record ChatOptions
{
    /// <summary>Whether the beginning of an answer follows, so that the model writes the rest.</summary>
    public bool AddGenerationPrompt { get; init; }

    /// <summary>Whether the text ends where the last message's does, so that the model goes on with it.</summary>
    public bool ContinueFinalMessage { get; init; }

    /// <summary>A list of functions that the model may call, as JSON schemas; null for none.</summary>
    public JsonElement? Tools { get; init; }

    /// <summary>An object of further variables, as <c>enable_thinking</c>; they come before the tokenizer's own. Null for none.</summary>
    public JsonElement? Variables { get; init; }

    /// <summary>What <c>strftime_now</c> reads, in its local time.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>What rendering may use up.</summary>
    public TemplateLimits Limits { get; init; } = TemplateLimits.Standard;
}

/// <summary>
/// A chat template as transformers renders it: Jinja in an immutable sandbox, with <c>trim_blocks</c> and <c>lstrip_blocks</c>.
/// Safe for use by several threads at once.
/// </summary>
public sealed class ChatTemplate
{
    private readonly string name;
    private readonly ImmutableArray<Statement> statements;
    private readonly ImmutableArray<KeyValuePair<string, object?>> specials;

    private ChatTemplate(string name, string source, ImmutableArray<Statement> statements, ImmutableArray<KeyValuePair<string, object?>> specials) =>
        (this.name, Source, this.statements, this.specials) = (name, source, statements, specials);

    /// <summary>The template itself.</summary>
    public string Source { get; }

    /// <summary>Reads the template of a folder, or of its parent: <c>chat_template.jinja</c>, else <c>chat_template</c> of <c>tokenizer_config.json</c>.</summary>
    /// <param name="folder">The folder of a model, or a file in it.</param>
    /// <param name="withTools">Whether tools are passed: of several templates, <c>tool_use</c> is then taken rather than <c>default</c>.</param>
    /// <param name="named">The one of several templates to take; null for the usual.</param>
    /// <exception cref="TokenizerException">There is none, or none of that name, or it is broken.</exception>
    public static ChatTemplate Load(string folder, bool withTools = false, string? named = null)
    {
        var file = ChatTemplateFile.Read(folder, withTools, named);
        return Parse(file.Template, file.Name, file.Specials);
    }

    /// <summary>Reads a template.</summary>
    /// <param name="template">The template.</param>
    /// <param name="specials">An object of variables, as <c>bos_token</c>; null for none.</param>
    /// <param name="limits">How long and deep it may be.</param>
    /// <exception cref="TokenizerException">It is broken, or has a construct that is not supported; the message names it with its line.</exception>
    public static ChatTemplate Parse(string template, JsonElement? specials = null, TemplateLimits? limits = null) =>
        Parse(template, "chat template", Members("special tokens", specials), limits);

    /// <summary>Messages of roles and texts.</summary>
    public static JsonElement Messages(params IEnumerable<(string Role, string Content)> messages) =>
        JsonSerializer.SerializeToElement(messages.Select(message => new Dictionary<string, string> { ["role"] = message.Role, ["content"] = message.Content }));

    /// <summary>The text of a conversation.</summary>
    /// <param name="messages">A list of objects, as a rule with <c>role</c> and <c>content</c>.</param>
    /// <param name="options">How.</param>
    /// <exception cref="TokenizerException">The template refuses the conversation, or fails, or goes beyond its limits; the message names the line.</exception>
    public RenderedChat Render(JsonElement messages, ChatOptions? options = null)
    {
        options ??= new ChatOptions();
        if (messages.ValueKind != JsonValueKind.Array || messages.EnumerateArray().Any(message => message.ValueKind != JsonValueKind.Object))
            throw new TokenizerException("Messages are a list of objects, as [{\"role\": \"user\", \"content\": \"...\"}]; something else was given.");
        if (options.Tools is { ValueKind: not (JsonValueKind.Array or JsonValueKind.Null) })
            throw new TokenizerException($"Tools are a list of JSON schemas; {options.Tools.Value.ValueKind} was given.");
        if (options is { ContinueFinalMessage: true, AddGenerationPrompt: true })
            throw new TokenizerException("A conversation either goes on with its last message or begins an answer, not both.");
        var evaluator = new TemplateEvaluator(options.Limits);
        try
        {
            var variables = specials.Concat(new Dictionary<string, object?>
            {
                ["messages"] = ValueOf(messages),
                ["tools"] = options.Tools is { } tools ? ValueOf(tools) : null,
                ["documents"] = null,
                ["add_generation_prompt"] = options.AddGenerationPrompt,
                ["strftime_now"] = new Callable("strftime_now", arguments => PythonFormat.Date(options.Clock.GetLocalNow(), arguments.Bind("strftime_now", "format").Text(0))),
            }).Concat(Members("variables", options.Variables));
            var (text, generations) = evaluator.Render(statements, variables);
            return options.ContinueFinalMessage ? new RenderedChat(UpToLastMessage(text, messages), []) : new RenderedChat(text, generations);
        }
        catch (TemplateError error)
        {
            throw Error(name, error, error.Line > 0 ? error.Line : evaluator.Line);
        }
    }

    private static ChatTemplate Parse(string template, string name, ImmutableArray<KeyValuePair<string, object?>> specials, TemplateLimits? limits = null)
    {
        try
        {
            return new ChatTemplate(name, template, TemplateParser.Parse(template, limits ?? TemplateLimits.Standard), specials);
        }
        catch (TemplateError error)
        {
            throw Error(name, error, error.Line);
        }
    }

    // As transformers: the last text of the message, wherever the template put it, with its blanks where they are kept.
    private static string UpToLastMessage(string text, JsonElement messages)
    {
        var content = messages.GetArrayLength() > 0 && messages[messages.GetArrayLength() - 1].TryGetProperty("content", out var last) ? last : default;
        if (content.ValueKind == JsonValueKind.Array)
            content = content.EnumerateArray().Reverse().Select(part => part.ValueKind == JsonValueKind.Object && part.TryGetProperty("text", out var found) ? found : default)
                .FirstOrDefault(part => part.ValueKind == JsonValueKind.String);
        if (content.ValueKind != JsonValueKind.String)
            throw new TokenizerException("The last message has no text to go on with.");
        var whole = content.GetString()!;
        var stripped = PythonStrings.Strip(whole, null, true, true);
        var at = text.LastIndexOf(stripped, StringComparison.Ordinal);
        if (at < 0)
            throw new TokenizerException("The last message does not stand in what the chat template renders, so that there is no place to go on from. The template changes it or leaves it out.");
        var open = PythonStrings.Strip(whole, null, true, false);
        return text[..(at + (string.CompareOrdinal(text, at, open, 0, open.Length) == 0 ? open.Length : stripped.Length))];
    }

    internal static ImmutableArray<KeyValuePair<string, object?>> Members(string what, JsonElement? variables) => variables switch
    {
        null or { ValueKind: JsonValueKind.Null } => [],
        { ValueKind: JsonValueKind.Object } members => [.. members.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, ValueOf(member.Value)))],
        { ValueKind: var kind } => throw new TokenizerException($"The chat template's {what} are an object, as {{\"name\": \"value\"}}; {kind} was given."),
    };

    private static object? ValueOf(JsonElement json)
    {
        try
        {
            return json.ValueKind switch
            {
                JsonValueKind.String => json.GetString(),
                JsonValueKind.True => true,
                JsonValueKind.False => false,
                JsonValueKind.Number => json.GetRawText() is { Length: < 4300 } digits && digits.AsSpan().IndexOfAny('.', 'e', 'E') < 0
                    ? BigInteger.Parse(digits, System.Globalization.CultureInfo.InvariantCulture) : json.GetDouble(),
                JsonValueKind.Array => Sequence.List([.. json.EnumerateArray().Select(ValueOf)]),
                JsonValueKind.Object => new Mapping(json.EnumerateObject().Select(member => KeyValuePair.Create((object?)member.Name, ValueOf(member.Value)))),
                _ => null,
            };
        }
        catch (InvalidOperationException exception)
        {
            // What the JSON reader says to half a surrogate pair.
            throw new TokenizerException($"A message or variable of the chat holds a string that is no Unicode: {exception.Message}", exception);
        }
        catch (TemplateError error)
        {
            throw new TokenizerException($"The conversation cannot be taken: {error.Message}.", error);
        }
    }

    private static TokenizerException Error(string name, TemplateError error, int line) => new($"{name}, line {line}: {error.Message}", error);
}
