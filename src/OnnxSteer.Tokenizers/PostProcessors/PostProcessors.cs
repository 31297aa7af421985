namespace OnnxSteer.Tokenizers;

/// <summary>Several post-processors in a row.</summary>
internal sealed record SequencePostProcessor(IReadOnlyList<IPostProcessor> Processors) : IPostProcessor
{
    public IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens) =>
        Processors.Aggregate(sequences, (processed, processor) => processor.Process(processed, addSpecialTokens));
}

/// <summary>Takes the spaces at a token's ends out of its offsets.</summary>
internal sealed record ByteLevelPostProcessor(bool AddPrefixSpace, bool TrimOffsets) : IPostProcessor
{
    public IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens) =>
        TrimOffsets ? [.. sequences.Select(Trimmed)] : sequences;

    private EncodedSequence Trimmed(EncodedSequence sequence) => sequence with
    {
        Tokens = [.. sequence.Tokens.Select((token, index) => Trimmed(token, sequence.Text, isFirst: index == 0 || token.Start == 0))],
    };

    private EncodedToken Trimmed(EncodedToken token, string text, bool isFirst)
    {
        var (start, end) = (token.Start, token.End);
        var leading = token.Token.TakeWhile(IsSpace).Count();
        var trailing = token.Token.Reverse().TakeWhile(IsSpace).Count();

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

    private static bool IsSpace(char unit) => unit == ByteUnits.UnitOf((byte)' ') || char.IsWhiteSpace(unit);
}

/// <summary>A part of a template: a sequence of the input, or tokens that stand there whatever the input is.</summary>
internal sealed record TemplatePart(int? Sequence, IReadOnlyList<EncodedToken> Tokens, int TypeId);

/// <summary>Puts the sequences and special tokens in the order of a template.</summary>
internal sealed record TemplatePostProcessor(IReadOnlyList<TemplatePart> Single, IReadOnlyList<TemplatePart> Pair) : IPostProcessor
{
    public IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens)
    {
        var processed = new List<EncodedSequence>();
        foreach (var part in sequences.Count == 1 ? Single : Pair)
            if (part.Sequence is { } index)
                processed.Add(sequences[index] with { Tokens = [.. sequences[index].Tokens.Select(token => token with { TypeId = part.TypeId })] });
            else if (addSpecialTokens)
                processed.Add(new EncodedSequence("", part.Tokens));
        return processed;
    }
}
