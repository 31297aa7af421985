using System.Runtime.InteropServices;

namespace OnnxSteer.Tokenizers;

/// <summary>Several post-processors in a row.</summary>
internal sealed record SequencePostProcessor(IReadOnlyList<IPostProcessor> Processors) : IPostProcessor
{
    public int AddedTokens(bool isPair) => Processors.Sum(processor => processor.AddedTokens(isPair));

    public IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens) =>
        Processors.Aggregate(sequences, (processed, processor) => processor.Process(processed, addSpecialTokens));
}

/// <summary>Takes the spaces at a token's ends out of its offsets.</summary>
internal sealed record ByteLevelPostProcessor(bool AddPrefixSpace, bool TrimOffsets) : IPostProcessor
{
    private static readonly char Space = ByteUnits.UnitOf((byte)' ');

    public int AddedTokens(bool isPair) => 0;

    public IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens)
    {
        if (TrimOffsets)
            foreach (var sequence in sequences)
            {
                var tokens = CollectionsMarshal.AsSpan(sequence.Tokens);
                for (var i = 0; i < tokens.Length; i++)
                    if (tokens[i].Token is { Length: > 0 } token && (IsSpace(token[0]) || IsSpace(token[^1])))
                        tokens[i] = Trimmed(tokens[i], sequence.Text, isFirst: i == 0 || tokens[i].Start == 0);
            }
        return sequences;
    }

    private EncodedToken Trimmed(EncodedToken token, string text, bool isFirst)
    {
        var (start, end) = (token.Start, token.End);
        var (leading, trailing) = (0, 0);
        while (leading < token.Token.Length && IsSpace(token.Token[leading]))
            leading++;
        while (trailing < token.Token.Length && IsSpace(token.Token[^(trailing + 1)]))
            trailing++;

        // One space at the start is the prefix space, which was never in the text; more than one were there.
        if (isFirst && AddPrefixSpace && leading == 1)
            leading = 0;

        // By scalars: a prefix space within the text stands for the whole character after it.
        for (; leading > 0 && start < end; leading--)
            start += start + 1 < end && char.IsSurrogatePair(text, start) ? 2 : 1;
        if (trailing <= end)
            for (; trailing > 0 && start < end; trailing--)
                end -= start < end - 1 && char.IsSurrogatePair(text, end - 2) ? 2 : 1;
        return token with { Start = start, End = end };
    }

    private static bool IsSpace(char unit) => unit == Space || char.IsWhiteSpace(unit);
}

/// <summary>A part of a template: a sequence of the input, or tokens that stand there whatever the input is.</summary>
internal sealed record TemplatePart(int? Sequence, List<EncodedToken> Tokens, int TypeId);

/// <summary>Puts the sequences and special tokens in the order of a template.</summary>
/// <param name="Single">For one text.</param>
/// <param name="Pair">For two.</param>
/// <param name="KeepsTypeIds">Whether without special tokens the texts keep the type ids that they came with.</param>
internal sealed record TemplatePostProcessor(IReadOnlyList<TemplatePart> Single, IReadOnlyList<TemplatePart> Pair, bool KeepsTypeIds = false) : IPostProcessor
{
    public int AddedTokens(bool isPair) => (isPair ? Pair : Single).Sum(part => part.Tokens.Count);

    public IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens)
    {
        if (KeepsTypeIds && !addSpecialTokens)
            return sequences;
        var processed = new List<EncodedSequence>();
        foreach (var part in sequences.Count == 1 ? Single : Pair)
            if (part.Sequence is { } index)
                processed.Add(sequences[index] with { TypeId = part.TypeId });
            else if (addSpecialTokens)
                processed.Add(new EncodedSequence("", part.Tokens, part.TypeId, IsSpecial: true));
        return processed;
    }
}
