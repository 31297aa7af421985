namespace OnnxSteer.Tokenizers;

/// <summary>Several normalizers in a row.</summary>
internal sealed record SequenceNormalizer(IReadOnlyList<INormalizer> Normalizers) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text) =>
        Normalizers.Aggregate(text, (normalized, normalizer) => normalizer.Normalize(normalized));
}

/// <summary>Puts something before every text that is not empty.</summary>
internal sealed record PrependNormalizer(string Prefix) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text) => text.Prepend(Prefix);
}

/// <summary>Replaces what a pattern matches; the content is literal.</summary>
internal sealed record ReplaceNormalizer(IPattern Pattern, string Content) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text) => text.Replace(Pattern, Content);
}
