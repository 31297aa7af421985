using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Running;

/// <summary>Texts as rows to score.</summary>
public static class ScoredTexts
{
    /// <summary>
    /// Encodes texts, and what stands before them, apart: only the beginning gets special tokens, and a token never spans both. The
    /// tokens of what stands before are not scored.
    /// </summary>
    /// <param name="prompts">The texts or ready ids.</param>
    /// <param name="tokenizer">Finds the tokenizer, where there is text.</param>
    /// <exception cref="OnnxException">A row has no tokens.</exception>
    public static ImmutableArray<ScoredRow> Of(PromptSet prompts, Func<Tokenizer> tokenizer)
    {
        var lazy = new Lazy<Tokenizer>(tokenizer);
        return [.. prompts.Select((prompt, i) =>
        {
            var before = prompt.Opening is { } opening ? Ids(opening, isFirst: true) : [];
            var ids = before.AddRange(Ids(prompt, isFirst: prompt.Opening is null));
            return ids.IsEmpty ? throw new OnnxException($"{prompt.Called(i)} has no tokens; a text to score was expected.") : new ScoredRow(ids, Math.Max(1, before.Length));
        })];

        ImmutableArray<int> Ids(Prompt prompt, bool isFirst) => prompt.Ids ?? [.. lazy.Value.Encode(prompt.Text!, addSpecialTokens: isFirst).Ids];
    }

    /// <summary>The first tokens of a row.</summary>
    public static ScoredRow First(this ScoredRow row, int tokens) => row with { Ids = row.Ids[..Math.Min(tokens, row.Ids.Length)] };

    /// <summary>
    /// A long row in windows, each a step further than the one before; every token is scored once, in the first window that holds it, with
    /// what stands before it there.
    /// </summary>
    /// <param name="row">The row.</param>
    /// <param name="window">Tokens of a window.</param>
    /// <param name="stride">Tokens of a step; no more than a window.</param>
    public static IEnumerable<ScoredRow> Windows(this ScoredRow row, int window, int stride)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(window, 2);
        ArgumentOutOfRangeException.ThrowIfLessThan(stride, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(stride, window);
        var scored = row.From;
        for (var start = 0; start == 0 || scored < row.Ids.Length; start += stride)
        {
            var end = Math.Min(start + window, row.Ids.Length);
            if (end > scored || end == row.Ids.Length)
                yield return new ScoredRow(row.Ids[start..end], Math.Max(1, scored - start));
            // The first token of a window without overlap has nothing before it.
            scored = Math.Max(scored, end);
        }
    }
}
