using OnnxSteer.Onnx;
using OnnxSteer.Running;

namespace OnnxSteer.Cli;

/// <summary>Steps that several commands share.</summary>
internal static class Work
{
    public static void WarnOfLinks(Terminal terminal, bool link)
    {
        if (link)
            terminal.Warn("hard links make the Python onnx library from 1.21 on refuse this folder and the original; ONNX Runtime takes both.");
    }

    /// <summary>Reads and encodes prompts; says how many were cut.</summary>
    public static (PromptSet Prompts, TokenizedPrompts Tokens) Read(Terminal terminal, Model model, string path, string? column, int maxTokens)
    {
        var prompts = PromptFile.Read(path, column);
        var tokens = TokenizedPrompts.Of(prompts, () => TokenizedPrompts.TokenizerOf(model), maxTokens);
        if (tokens.Truncated > 0)
            terminal.Warn($"{path}: {tokens.Truncated} of {prompts.Count} prompts were cut behind {maxTokens} tokens (--max-tokens).");
        return (prompts, tokens);
    }
}
