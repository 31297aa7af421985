using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using OnnxSteer.Onnx;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Running;

/// <summary>How prompts become conversations: a prompt what the user says, a completion what the assistant answers.</summary>
/// <param name="Template">The model's chat template.</param>
/// <param name="System">What a conversation begins with, unless it has a system message of its own; null for nothing.</param>
/// <param name="Tools">A list of functions that the model may call, as JSON schemas; null for none.</param>
/// <param name="Variables">An object of further variables for the template; null for none.</param>
public sealed record ChatFormat(ChatTemplate Template, string? System = null, JsonElement? Tools = null, JsonElement? Variables = null)
{
    private const string Role = "role", Content = "content", Assistant = "assistant";

    /// <summary>What <c>strftime_now</c> of a template reads.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary><c>chat:</c> and what tells one template with its settings from another.</summary>
    public string Name { get; } = "chat:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        JsonSerializer.Serialize(new[] { Template.Source, System, Tools?.GetRawText(), Variables?.GetRawText() }))))[..8];

    /// <summary>The chat format of a model.</summary>
    /// <exception cref="TokenizerException">The model has no chat template, or a broken one.</exception>
    public static ChatFormat Of(Model model, string? system = null, JsonElement? tools = null, JsonElement? variables = null) =>
        new(ChatTemplate.Load(model.Folder ?? ".", withTools: tools is not null), system, tools, variables);

    /// <summary>
    /// The text of a prompt's conversation, special tokens included. Where it ends with an answer of the assistant, the text ends
    /// with it too; else with the beginning of one.
    /// </summary>
    /// <param name="prompt">The prompt; it may not consist of token ids.</param>
    /// <returns>The text, and where in it the answer begins; null where there is none.</returns>
    /// <exception cref="TokenizerException">The template refuses the conversation.</exception>
    /// <exception cref="OnnxException">The prompt holds token ids.</exception>
    public (string Text, int? Answer) Render(Prompt prompt)
    {
        var messages = MessagesOf(prompt);
        if (!IsAnswer(messages[^1]))
            return (Render(messages, isAnswered: false), null);
        var text = Render(messages, isAnswered: true);
        var opening = messages.Count > 1 ? Render(messages[..^1], isAnswered: false) : "";

        // A template may write the beginning of an answer in another way than an answer itself: then as far as both agree.
        return (text, opening.AsSpan().CommonPrefixLength(text));
    }

    private string Render(List<JsonElement> messages, bool isAnswered) => Template.Render(JsonSerializer.SerializeToElement(messages), new ChatOptions
    {
        AddGenerationPrompt = !isAnswered,
        ContinueFinalMessage = isAnswered,
        Tools = Tools,
        Variables = Variables,
        Clock = Clock,
    }).Text;

    private List<JsonElement> MessagesOf(Prompt prompt)
    {
        if (prompt.Ids is not null || prompt.Opening?.Ids is not null)
            throw new OnnxException("It holds token ids; a chat template takes text. Leave --chat out, or give text.");
        var messages = prompt.Messages is { } own ? JsonSerializer.Deserialize<List<JsonElement>>(own)!
            : prompt.Opening is { } opening ? [Message("user", opening.Text!), Message(Assistant, prompt.Text!)]
            : [Message("user", prompt.Text!)];
        return System is null || messages[0].TryGetProperty(Role, out var role) && role.ValueEquals("system") ? messages : [Message("system", System), .. messages];
    }

    private static bool IsAnswer(JsonElement message) => message.TryGetProperty(Role, out var role) && role.ValueKind == JsonValueKind.String && role.ValueEquals(Assistant)
        && message.TryGetProperty(Content, out var content) && content.ValueKind is JsonValueKind.String or JsonValueKind.Array;

    private static JsonElement Message(string role, string content) => ChatTemplate.Messages((role, content))[0];
}
