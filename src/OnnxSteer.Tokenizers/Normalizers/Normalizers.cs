using System.Text;

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

/// <summary>NFC, NFD, NFKC or NFKD.</summary>
internal sealed record UnicodeNormalizer(Normalization Form) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text) => Form.Apply(text);
}

/// <summary>Lower case, each character by itself.</summary>
internal sealed record LowercaseNormalizer : INormalizer
{
    private const int CapitalIWithDot = 0x130;

    public NormalizedString Normalize(NormalizedString text)
    {
        var span = text.Span;
        var first = 0;
        while (first < span.Length && !MayBeUpper(span[first]))
            first++;
        if (first == span.Length)
            return text;
        var rewriter = new Rewriter(text);
        foreach (var rune in span.EnumerateRunes())
        {
            if (rune.Value == CapitalIWithDot)
            {
                rewriter.Add('i', 0);
                rewriter.Add(0x307, 1);
            }
            else
                rewriter.Add(Lower(rune), 0);
        }
        return rewriter.Build();
    }

    private static bool MayBeUpper(char unit) => unit < 0x80 ? char.IsAsciiLetterUpper(unit) : unit >= 0xC0;

    // Three letters that the reference's table has and .NET's has not yet.
    private static int Lower(Rune rune) => rune.Value switch
    {
        0xA7CE => 0xA7CF,
        0xA7D2 => 0xA7D3,
        0xA7D4 => 0xA7D5,
        _ => Rune.ToLowerInvariant(rune).Value,
    };
}

/// <summary>Takes whitespace off the ends.</summary>
internal sealed record StripNormalizer(bool Left, bool Right) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text)
    {
        var span = text.Span;
        var end = Right ? span.TrimEnd().Length : span.Length;
        var start = Left ? end - span[..end].TrimStart().Length : 0;
        return text.Slice(start, end);
    }
}

/// <summary>Drops the scalars of a set.</summary>
internal sealed record RemoveNormalizer(ScalarSet Removed) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text)
    {
        var rewriter = new Rewriter(text);
        var removed = false;
        foreach (var rune in text.Span.EnumerateRunes())
            if (Removed.Contains(rune.Value))
            {
                rewriter.Skip(1);
                removed = true;
            }
            else
                rewriter.Add(rune.Value, 0);
        return removed ? rewriter.Build() : text;
    }
}

/// <summary>Makes every scalar of a set a space.</summary>
internal sealed record BlankNormalizer(ScalarSet Blanks) : INormalizer
{
    public NormalizedString Normalize(NormalizedString text)
    {
        var rewriter = new Rewriter(text);
        foreach (var rune in text.Span.EnumerateRunes())
            rewriter.Add(Blanks.Contains(rune.Value) ? ' ' : rune.Value, 0);
        return rewriter.Build();
    }
}

/// <summary>A space on either side of every ideograph.</summary>
internal sealed record SpacedIdeographsNormalizer : INormalizer
{
    // What BERT takes for Chinese.
    private static readonly ScalarSet Ideographs = ScalarSet.Of(
        [(0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0x2F800, 0x2FA1F)]);

    public NormalizedString Normalize(NormalizedString text)
    {
        if (!text.Span.ContainsAnyInRange('\u3400', char.MaxValue))
            return text;
        var rewriter = new Rewriter(text);
        foreach (var rune in text.Span.EnumerateRunes())
            if (Ideographs.Contains(rune.Value))
            {
                rewriter.Add(' ', 0);
                rewriter.Add(rune.Value, 1);
                rewriter.Add(' ', 1);
            }
            else
                rewriter.Add(rune.Value, 0);
        return rewriter.Build();
    }
}

/// <summary>Each byte of the text's UTF-8 as one visible character.</summary>
internal sealed record ByteLevelNormalizer : INormalizer
{
    public NormalizedString Normalize(NormalizedString text)
    {
        var rewriter = new Rewriter(text);
        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in text.Span.EnumerateRunes())
        {
            var change = 0;
            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                rewriter.Add(ByteUnits.UnitOf(value), change);
                change = 1;
            }
        }
        return rewriter.Build();
    }
}
