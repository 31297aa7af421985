using System.Buffers.Binary;
using System.Collections;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace OnnxSteer;

/// <summary>One prompt: text, ready token ids, or both; where there are ids, they are used.</summary>
/// <param name="Text">The text, as it stands in the file; null where there are ids only.</param>
/// <param name="Ids">Token ids, none negative; null where there is text only.</param>
/// <param name="Line">The line of the file that the prompt starts at, from 1; 0 where it comes from no file.</param>
public sealed record Prompt(string? Text, ImmutableArray<int>? Ids = null, int Line = 0)
{
    /// <summary>
    /// What stands directly before, of which this is the completion: the model reads it, but its tokens do not count. Null where
    /// all tokens count.
    /// </summary>
    public Prompt? Opening { get; init; }

    /// <summary>A conversation instead of a text, as JSON: a list of objects with <c>role</c> and <c>content</c>. Else null.</summary>
    public string? Messages { get; init; }

    /// <summary>Which population it belongs to, in a file of several; else null.</summary>
    public string? Label { get; init; }

    /// <summary>How many samples it stands for; at least 1.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>How errors call it: its line, or its number where it comes from no file.</summary>
    public string Called(int index) => Line > 0 ? $"The prompt in line {Line}" : $"Prompt {index + 1}";

    /// <summary>Whether all parts are the same.</summary>
    public bool Equals(Prompt? other)
        => other is not null && Text == other.Text && Line == other.Line && Ids.HasValue == other.Ids.HasValue
            && (Ids ?? []).AsSpan().SequenceEqual((other.Ids ?? []).AsSpan())
            && Equals(Opening, other.Opening) && Messages == other.Messages && Label == other.Label && Weight == other.Weight;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Text, Messages, Line, Ids?.Length);
}

/// <summary>Prompts in their order.</summary>
public sealed class PromptSet : IReadOnlyList<Prompt>
{
    private readonly ImmutableArray<Prompt> prompts;

    /// <summary>A set of any prompts.</summary>
    public PromptSet(IEnumerable<Prompt> prompts)
    {
        this.prompts = [.. prompts];
        Digest = DigestOf(this.prompts);
    }

    /// <summary>A set of texts.</summary>
    public static PromptSet Of(params IEnumerable<string> texts) => new(texts.Select(text => new Prompt(text)));

    /// <summary>
    /// SHA-256 of the prompts, 64 lower-case hexadecimal digits. It depends on texts, ids, weights and their order only: the same prompts
    /// from another kind of file, with other line ends, have the same digest.
    /// </summary>
    public string Digest { get; }

    /// <inheritdoc/>
    public int Count => prompts.Length;

    /// <summary>Samples that the prompts stand for: the sum of their weights.</summary>
    public long Samples => prompts.Sum(prompt => (long)prompt.Weight);

    /// <summary>
    /// So many of the prompts, drawn by a seed, in their order. Sets of one size lose the same numbers to the same seed, so that
    /// pairs stay pairs.
    /// </summary>
    public PromptSet Draw(int count, int seed)
    {
        if (count >= Count)
            return this;
        var numbers = Enumerable.Range(0, Count).ToArray();
        new Random(seed).Shuffle(numbers);
        return new PromptSet(numbers.Take(count).Order().Select(number => prompts[number]));
    }

    /// <summary>The prompts of one label.</summary>
    /// <exception cref="OnnxSteer.Onnx.OnnxException">No prompt has it; the message names the labels that there are.</exception>
    public PromptSet Labelled(string label)
    {
        var found = prompts.Where(prompt => prompt.Label == label).ToList();
        var there = prompts.GroupBy(prompt => prompt.Label).Select(group => $"'{group.Key}' ({group.Count()})").Take(12);
        return found.Count > 0 ? new PromptSet(found)
            : throw new Onnx.OnnxException($"No prompt has the label '{label}'; there are {string.Join(", ", there)}.");
    }

    /// <inheritdoc/>
    public Prompt this[int index] => prompts[index];

    /// <inheritdoc/>
    public IEnumerator<Prompt> GetEnumerator() => ((IEnumerable<Prompt>)prompts).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Lengths come before contents, so that no two lists of prompts give the same bytes.</summary>
    private static string DigestOf(ImmutableArray<Prompt> prompts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var prompt in prompts)
        {
            var text = prompt.Text is null ? null : Encoding.UTF8.GetBytes(prompt.Text);
            AppendNumber(hash, text?.Length ?? -1);
            hash.AppendData(text ?? []);
            AppendIds(hash, prompt.Ids);
        }
        // Only where there are any, so that plain prompts keep their digest.
        foreach (var (index, prompt) in prompts.Index().Where(entry => entry.Item.Opening is not null || entry.Item.Messages is not null || entry.Item.Weight != 1))
        {
            var opening = prompt.Opening?.Text is { } text ? Encoding.UTF8.GetBytes(text) : null;
            AppendNumber(hash, index);
            AppendNumber(hash, prompt.Weight);
            AppendNumber(hash, opening?.Length ?? -1);
            hash.AppendData(opening ?? []);
            AppendIds(hash, prompt.Opening?.Ids);
            if (prompt.Messages is { } messages)
                hash.AppendData(Encoding.UTF8.GetBytes(messages));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void AppendIds(IncrementalHash hash, ImmutableArray<int>? ids)
    {
        AppendNumber(hash, ids?.Length ?? -1);
        foreach (var id in ids ?? [])
            AppendNumber(hash, id);
    }

    private static void AppendNumber(IncrementalHash hash, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        hash.AppendData(bytes);
    }
}
