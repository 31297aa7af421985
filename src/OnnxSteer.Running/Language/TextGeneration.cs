using OnnxSteer.Tokenizers;

namespace OnnxSteer.Running;

/// <summary>A generated text.</summary>
/// <param name="Text">The new text alone, special tokens left out.</param>
/// <param name="Completion">Its tokens and why it ended.</param>
public sealed record GeneratedText(string Text, Completion Completion);

/// <summary>Generates texts for any number of prompts.</summary>
public static class TextGeneration
{
    /// <summary>Continues prompts, some at a time; the texts come in the order of the prompts.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="prompts">The prompts.</param>
    /// <param name="options">How.</param>
    /// <param name="batchSize">Rows in one call.</param>
    /// <param name="onText">Called with row and new text as it becomes final, for streaming.</param>
    /// <param name="progress">Told how many prompts are done.</param>
    /// <param name="cancel">Ends the generation.</param>
    public static IReadOnlyList<GeneratedText> Texts(
        this Decoder decoder, Tokenizer tokenizer, TokenizedPrompts prompts, GenerationOptions options, int batchSize = 16, Action<int, string>? onText = null,
        IProgress<int>? progress = null, CancellationToken cancel = default)
    {
        var texts = new List<GeneratedText>(prompts.Rows.Length);
        foreach (var rows in prompts.Rows.Chunk(batchSize))
        {
            var first = texts.Count;
            var streams = rows.Select(_ => tokenizer.Stream()).ToArray();
            var completions = decoder.Generate(rows, options, onText is null ? null : (row, token) => onText(first + row, streams[row].Append(token)), first, cancel);
            for (var row = 0; row < rows.Length; row++)
            {
                onText?.Invoke(first + row, streams[row].Flush());
                texts.Add(new GeneratedText(tokenizer.Decode(completions[row].Ids.AsSpan()), completions[row]));
            }
            progress?.Report(texts.Count);
        }
        return texts;
    }
}
