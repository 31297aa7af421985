using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Running;

/// <summary>Prompts as token ids.</summary>
/// <param name="Rows">Ids of each prompt, special tokens included.</param>
/// <param name="Truncated">How many prompts were cut.</param>
public sealed record TokenizedPrompts(ImmutableArray<ImmutableArray<int>> Rows, int Truncated)
{
    /// <summary>Where the reference implementation cuts prompts.</summary>
    public const int UsualLimit = 128;

    /// <summary>Encodes texts and takes ready ids as they are; cuts behind <paramref name="maxTokens"/>.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="tokenizer">Finds the tokenizer, where a prompt is text.</param>
    /// <param name="maxTokens">The longest row.</param>
    /// <exception cref="OnnxException">A prompt has no tokens.</exception>
    public static TokenizedPrompts Of(PromptSet prompts, Func<Tokenizer> tokenizer, int maxTokens = int.MaxValue)
    {
        var lazy = new Lazy<Tokenizer>(tokenizer);
        var rows = ImmutableArray.CreateBuilder<ImmutableArray<int>>(prompts.Count);
        var truncated = 0;
        foreach (var prompt in prompts)
        {
            var ids = prompt.Ids ?? [.. lazy.Value.Encode(prompt.Text!).Ids];
            if (ids.IsEmpty)
                throw new OnnxException($"The prompt in line {prompt.Line} has no tokens; the tokenizer adds none of its own, so it must hold some text.");
            truncated += ids.Length > maxTokens ? 1 : 0;
            rows.Add(ids.Length > maxTokens ? ids[..maxTokens] : ids);
        }
        return new TokenizedPrompts(rows.MoveToImmutable(), truncated);
    }

    /// <summary>The tokenizer of a model: <c>tokenizer.json</c> in its folder, else in the parent folder.</summary>
    /// <exception cref="TokenizerException">There is none, or it is not readable.</exception>
    public static Tokenizer TokenizerOf(Model model) => Tokenizer.Load(model.Folder ?? ".");
}
