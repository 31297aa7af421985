using System.CommandLine;
using System.Text.Json;
using OnnxSteer.Onnx;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary>The options that make conversations of prompts.</summary>
internal sealed class ChatFlags
{
    private readonly Option<bool> _chat = new("--chat")
    {
        Description = "Prompts are what a user says: the model's chat template (chat_template.jinja, or in tokenizer_config.json) makes the text, the beginning of an answer included. Of a row with \"prompt\" and \"completion\", the latter is the answer; a .jsonl row may hold \"messages\" instead.",
    };

    private readonly Option<string?> _system = new("--system") { Description = "With --chat, the system message of conversations that have none of their own." };
    private readonly Option<string?> _variables = new("--chat-kwargs") { Description = "With --chat, a JSON object of variables for the template, as {\"enable_thinking\": false}." };
    private readonly Option<string?> _tools = new("--tools") { Description = "With --chat, a JSON file with a list of functions that the model may call, each as JSON schema." };

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _chat, _system, _variables, _tools })
            command.Options.Add(option);
    }

    /// <summary>The format that is asked for; null where prompts stay as they are.</summary>
    /// <exception cref="UsageException">The options do not go together, or hold no JSON.</exception>
    public ChatFormat? Read(ParseResult call, Model model)
    {
        var (system, variables, tools) = (call.GetValue(_system), call.GetValue(_variables), call.GetValue(_tools));
        if (!call.GetValue(_chat))
            return system is null && variables is null && tools is null ? null : throw new UsageException("--system, --chat-kwargs and --tools belong to --chat.");
        return ChatFormat.Of(model, system, tools is null ? null : Json("--tools", File.ReadAllText(tools), JsonValueKind.Array, "a list of functions"),
            variables is null ? null : Json("--chat-kwargs", variables, JsonValueKind.Object, "an object, as {\"enable_thinking\": false},"));
    }

    private static JsonElement Json(string option, string text, JsonValueKind kind, string expected)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == kind ? document.RootElement.Clone()
                : throw new UsageException($"{option}: {expected} was expected; {document.RootElement.ValueKind} was given.");
        }
        catch (JsonException exception)
        {
            throw new UsageException($"{option}: no valid JSON: {exception.Message}");
        }
    }
}
