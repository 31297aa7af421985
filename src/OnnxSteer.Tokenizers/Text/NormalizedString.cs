using System.Buffers;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// A text on its way through the pipeline that remembers, for every UTF-16 unit, which range of the original text it
/// came from. A slice of a shared buffer: cutting costs nothing, changing builds a new buffer.
/// </summary>
internal readonly struct NormalizedString
{
    private readonly char[] units;

    // Without these two, the unit at index i of the buffer came from the original's unit i + shift.
    private readonly int[]? starts;
    private readonly int[]? ends;
    private readonly int shift;

    private readonly int offset;

    internal NormalizedString(char[] units, int[]? starts, int[]? ends, int shift, int offset, int length)
    {
        this.units = units;
        this.starts = starts;
        this.ends = ends;
        this.shift = shift;
        this.offset = offset;
        Length = length;
    }

    public int Length { get; }

    public bool IsEmpty => Length == 0;

    public ReadOnlySpan<char> Span => units.AsSpan(offset, Length);

    /// <summary>Where in the original text the first unit came from.</summary>
    public int OriginalStart => starts is null ? offset + shift : starts[offset];

    /// <summary>The original text, unchanged but for lone surrogates, which no vocabulary can hold: they become U+FFFD.</summary>
    public static NormalizedString Of(string text)
    {
        var units = text.ToCharArray();
        for (var i = 0; i < units.Length;)
            if (!char.IsSurrogate(units[i]))
                i++;
            else if (Rune.DecodeFromUtf16(units.AsSpan(i), out _, out var length) == OperationStatus.Done)
                i += length;
            else
                units[i++] = '\uFFFD';
        return new NormalizedString(units, null, null, 0, 0, units.Length);
    }

    public NormalizedString Slice(int start, int end) => new(units, starts, ends, shift, offset + start, end - start);

    /// <summary>The range of the original text that the units from start to end (more than none) came from.</summary>
    public (int Start, int End) OriginalRange(int start, int end) => starts is null
        ? (offset + shift + start, offset + shift + end)
        : (starts[offset + start], ends![offset + end - 1]);

    /// <summary>This text with something before it that counts as part of its first character; empty stays empty.</summary>
    public NormalizedString Prepend(string prefix)
    {
        if (IsEmpty)
            return this;
        var builder = new NormalizedStringBuilder(prefix.Length + Length);
        builder.Append(prefix, OriginalRange(0, Scalars.LengthAt(Span, 0)));
        builder.Append(this);
        return builder.Build();
    }

    /// <summary>Every match of a pattern replaced; the replacement counts as part of the match's last character.</summary>
    public NormalizedString Replace(IPattern pattern, string content)
    {
        var matches = pattern.Matches(Span);
        if (matches.Count == 0)
            return this;

        // By the original's length: several replacements in a row multiply.
        var original = OriginalRange(0, Length);
        var builder = new NormalizedStringBuilder(Length, limit: 4096 + (64L * (original.End - original.Start)));
        var copied = 0;
        foreach (var (start, end) in matches)
        {
            builder.Append(Slice(copied, start));
            builder.Append(content, end == 0 ? (OriginalStart, OriginalStart) : OriginalRange(Scalars.StartBefore(Span, end), end));
            copied = end;
        }
        builder.Append(Slice(copied, Length));
        return builder.Build();
    }
}
