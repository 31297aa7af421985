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
    /// <summary>Whether text, ids and line are the same.</summary>
    public bool Equals(Prompt? other)
        => other is not null && Text == other.Text && Line == other.Line && Ids.HasValue == other.Ids.HasValue
            && (Ids ?? []).AsSpan().SequenceEqual((other.Ids ?? []).AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Text, Line, Ids?.Length);
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
    /// SHA-256 of the prompts, 64 lower-case hexadecimal digits. It depends on texts, ids and their order only: the same prompts
    /// from another kind of file, with other line ends, have the same digest.
    /// </summary>
    public string Digest { get; }

    /// <inheritdoc/>
    public int Count => prompts.Length;

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
            AppendNumber(hash, prompt.Ids?.Length ?? -1);
            foreach (var id in prompt.Ids ?? [])
                AppendNumber(hash, id);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void AppendNumber(IncrementalHash hash, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        hash.AppendData(bytes);
    }
}
