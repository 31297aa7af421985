using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using OnnxSteer.Onnx;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Running;

/// <summary>Prompts as token ids.</summary>
/// <param name="Rows">Ids of each prompt, special tokens included.</param>
/// <param name="Truncated">How many prompts were cut.</param>
public sealed record TokenizedPrompts(ImmutableArray<ImmutableArray<int>> Rows, int Truncated)
{
    /// <summary>Which tokens of each row are pooled, from Start to before End, never none; null where all of every row are.</summary>
    public ImmutableArray<(int Start, int End)>? Chosen { get; init; }

    /// <summary>What chose them, as <c>chat:12ab34cd completion 0:10 skip-first</c>; null where nothing did.</summary>
    public string? ChosenBy { get; init; }

    /// <summary>How many samples each row stands for; null where each is one.</summary>
    public ImmutableArray<int>? Weights { get; init; }

    /// <summary>Where the reference implementation cuts prompts.</summary>
    public const int UsualLimit = 128;

    /// <summary>Encodes texts and takes ready ids as they are; cuts behind <paramref name="maxTokens"/>.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="tokenizer">Finds the tokenizer, where a prompt is text.</param>
    /// <param name="maxTokens">The longest row.</param>
    /// <param name="tokens">Which tokens of a prompt, or of a completion, are pooled; null for all.</param>
    /// <param name="skipFirst">Whether the first token of each row is left out of the pooling.</param>
    /// <param name="chat">Makes conversations of the prompts; null where they stay as they are.</param>
    /// <exception cref="OnnxException">A prompt has no tokens, or none that is pooled; or the chat template refuses it.</exception>
    public static TokenizedPrompts Of(
        PromptSet prompts, Func<Tokenizer> tokenizer, int maxTokens = int.MaxValue, TokenRange? tokens = null, bool skipFirst = false, ChatFormat? chat = null)
    {
        var lazy = new Lazy<Tokenizer>(tokenizer);
        var rows = ImmutableArray.CreateBuilder<ImmutableArray<int>>(prompts.Count);
        var chosen = ImmutableArray.CreateBuilder<(int Start, int End)>(prompts.Count);
        var truncated = 0;
        var hasAnswers = false;
        foreach (var (i, prompt) in prompts.Index())
        {
            var (ids, start, end) = Encode(prompt, prompt.Called(i), lazy, chat);
            if (ids.IsEmpty)
                throw new OnnxException($"{prompt.Called(i)} has no tokens; the tokenizer adds none of its own, so it must hold some text.");
            hasAnswers |= prompt.Opening is not null || start > 0;
            var kept = Math.Min(ids.Length, maxTokens);
            truncated += kept < ids.Length ? 1 : 0;
            rows.Add(ids[..kept]);
            var span = (Start: Math.Min(start, kept), End: Math.Min(end, kept));
            span = tokens?.Of(span.Start, span.End) ?? span;
            chosen.Add(skipFirst && span.Start == 0 ? (1, span.End) : span);
            if (chosen[i].End <= chosen[i].Start)
                throw new OnnxException($"{prompt.Called(i)} has no token left to pool: of its {ids.Length} tokens {(start == 0 ? "" : $"the completion has those from {start} to before {end}, ")}"
                    + $"the first {kept} are kept{(tokens is null ? "" : $", of which --tokens {tokens} takes {Math.Max(0, span.End - span.Start)}")}{(skipFirst ? ", and the first token is skipped" : "")}. Leave it out, or choose other tokens.");
        }
        var isWhole = chosen.Index().All(row => row.Item == (0, rows[row.Index].Length));
        return new TokenizedPrompts(rows.MoveToImmutable(), truncated)
        {
            Chosen = isWhole ? null : chosen.MoveToImmutable(),
            ChosenBy = ChoiceOf(hasAnswers, tokens, skipFirst, chat),
            Weights = prompts.Any(prompt => prompt.Weight != 1) ? [.. prompts.Select(prompt => prompt.Weight)] : null,
        };
    }

    /// <summary>Some of the rows as one call.</summary>
    /// <param name="rows">Their numbers.</param>
    /// <param name="padding">The side that the graph understands.</param>
    /// <param name="padId">What to fill up with.</param>
    public TokenBatch Batch(ImmutableArray<int> rows, PaddingSide padding, int padId) =>
        new([.. rows.Select(row => Rows[row])], padding, padId, Chosen is { } chosen ? [.. rows.Select(row => chosen[row])] : null);

    /// <summary>The mean over all pooled tokens, of what is the mean over those of each row.</summary>
    /// <param name="means">A row for each row, <c>[rows, channels]</c>.</param>
    internal double[] MeanOverTokens(ReadOnlySpan<float> means)
    {
        var (sums, tokens) = (new double[means.Length / Rows.Length], 0.0);
        for (var row = 0; row < Rows.Length; row++)
        {
            var count = (double)(Chosen?[row] is var (start, end) ? end - start : Rows[row].Length) * (Weights?[row] ?? 1);
            tokens += count;
            for (var channel = 0; channel < sums.Length; channel++)
                sums[channel] += count * means[row * sums.Length + channel];
        }
        return [.. sums.Select(sum => sum / tokens)];
    }

    /// <summary>SHA-256 of ids, what is pooled of them, and weights: what a capture depends on, whatever tokenizer and options made it.</summary>
    public string Digest()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (i, row) in Rows.Index())
        {
            var (start, end) = Chosen?[i] ?? (0, row.Length);
            hash.AppendData(MemoryMarshal.AsBytes<int>([row.Length, start, end, Weights?[i] ?? 1]));
            hash.AppendData(MemoryMarshal.AsBytes(row.AsSpan()));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string? ChoiceOf(bool hasAnswers, TokenRange? tokens, bool skipFirst, ChatFormat? chat)
    {
        string?[] parts = [chat?.Name, hasAnswers ? "completion" : null, tokens?.ToString(), skipFirst ? "skip-first" : null];
        return parts.Any(part => part is not null) ? string.Join(' ', parts.OfType<string>()) : null;
    }

    private static (ImmutableArray<int> Ids, int Start, int End) Encode(Prompt prompt, string called, Lazy<Tokenizer> tokenizer, ChatFormat? chat)
    {
        if (chat is not null)
            return Encode(prompt, called, tokenizer.Value, chat);
        if (prompt.Messages is not null)
            throw new OnnxException($"{called} is a conversation; it takes the model's chat template (--chat) to make a text of it.");
        if (prompt.Opening is not { } opening)
        {
            var ids = prompt.Ids ?? [.. tokenizer.Value.Encode(prompt.Text!).Ids];
            return (ids, 0, ids.Length);
        }
        if (prompt.Ids is null && opening.Ids is null)
            return Beyond(opening.Text!.Length, tokenizer.Value.Encode(opening.Text + prompt.Text));
        var before = opening.Ids ?? [.. tokenizer.Value.Encode(opening.Text!).Ids];
        var own = prompt.Ids ?? [.. tokenizer.Value.Encode(prompt.Text!, addSpecialTokens: false).Ids];
        return (before.AddRange(own), before.Length, before.Length + own.Length);
    }

    private static (ImmutableArray<int> Ids, int Start, int End) Encode(Prompt prompt, string called, Tokenizer tokenizer, ChatFormat chat)
    {
        try
        {
            var (text, answer) = chat.Render(prompt);
            var encoding = tokenizer.Encode(text, addSpecialTokens: false);
            return answer is { } start ? Beyond(start, encoding) : ([.. encoding.Ids], 0, encoding.Ids.Length);
        }
        catch (Exception cause) when (cause is TokenizerException or OnnxException)
        {
            throw new OnnxException($"{called} makes no conversation. {cause.Message}", cause);
        }
    }

    // A completion's tokens are those that reach beyond the opening: one that spans both holds some of it.
    private static (ImmutableArray<int> Ids, int Start, int End) Beyond(int opening, TokenEncoding encoding)
    {
        var beyond = encoding.Offsets.Index().Where(token => token.Item.End > opening).Select(token => token.Index).ToList();
        return ([.. encoding.Ids], beyond.Count > 0 ? beyond[0] : encoding.Ids.Length, beyond.Count > 0 ? beyond[^1] + 1 : encoding.Ids.Length);
    }

    /// <summary>Makes sure that a model can take rows of token ids.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="vocabulary">How many tokens the model knows; null where unknown.</param>
    /// <param name="longest">How many tokens a row may have; null where unknown.</param>
    /// <exception cref="OnnxException">A row is empty or too long, or holds an id that the model does not know.</exception>
    internal static void Check(IReadOnlyList<ImmutableArray<int>> rows, long? vocabulary, int? longest)
    {
        foreach (var (i, row) in rows.Index())
        {
            if (row.IsEmpty)
                throw new OnnxException($"Prompt {i + 1} has no tokens; the model needs at least one.");
            if (row.Length > longest)
                throw new OnnxException($"Prompt {i + 1} has {row.Length} tokens; at most {longest} fit the model's context here. Shorten it.");
            foreach (var id in row)
                if (id < 0 || id >= vocabulary)
                    throw new OnnxException($"Prompt {i + 1} has the token id {id}; ids from 0 to {vocabulary - 1} were expected. The tokenizer does not belong to the model.");
        }
    }

    /// <summary>As above, for what is run through a part of a model.</summary>
    internal static void Check(IReadOnlyList<ImmutableArray<int>> rows, Model model) =>
        Check(rows, model.Graph.Info(DecoderSignature.Of(model).Logits ?? "")?.Dims is [.., { } size] ? size : null, DecoderConfig.Of(model).ContextLength);

    /// <summary>The tokenizer of a model: <c>tokenizer.json</c> in its folder, else in the parent folder.</summary>
    /// <exception cref="TokenizerException">There is none, or it is not readable.</exception>
    public static Tokenizer TokenizerOf(Model model) => Tokenizer.Load(model.Folder ?? ".").WithoutLimits();
}
