namespace OnnxSteer.Tokenizers;

/// <summary>Builds a <see cref="NormalizedString"/> piece by piece, each piece with the range it came from.</summary>
/// <param name="capacity">How many units to expect.</param>
/// <param name="limit">How many units a text may become: replacements in a hostile file could grow it without bound.</param>
internal sealed class NormalizedStringBuilder(int capacity, long limit = long.MaxValue)
{
    private char[] units = new char[Math.Max(capacity, 4)];
    private int[]? starts;
    private int[]? ends;
    private int shift;

    public int Length { get; private set; }

    public void Append(char unit, (int Start, int End) range)
    {
        Reserve(1);
        if (starts is null)
        {
            if (Length == 0)
                shift = range.Start;
            if (range.Start != Length + shift || range.End != range.Start + 1)
                Materialize();
        }
        units[Length] = unit;
        if (starts is not null)
        {
            starts[Length] = range.Start;
            ends![Length] = range.End;
        }
        Length++;
    }

    /// <summary>Appends a scalar, one unit or two.</summary>
    public void Append(int scalar, (int Start, int End) range)
    {
        if (scalar < 0x10000)
        {
            Append((char)scalar, range);
            return;
        }

        // Kept in step with the original where it is, which needs no ranges at all.
        var isOwn = range.End == range.Start + 2;
        Append((char)(0xD7C0 + (scalar >> 10)), isOwn ? (range.Start, range.Start + 1) : range);
        Append((char)(0xDC00 | (scalar & 0x3FF)), isOwn ? (range.Start + 1, range.End) : range);
    }

    public void Append(ReadOnlySpan<char> text, (int Start, int End) range)
    {
        foreach (var unit in text)
            Append(unit, range);
    }

    public void Append(NormalizedString text)
    {
        var span = text.Span;
        for (var i = 0; i < span.Length; i++)
            Append(span[i], text.OriginalRange(i, i + 1));
    }

    public NormalizedString Build() => new(units, starts, ends, shift, 0, Length);

    private void Reserve(int more)
    {
        if (Length + (long)more > limit)
            throw new TokenizerException($"The normalizer makes a text of more than {limit} characters out of a far shorter one.");
        if (Length + more <= units.Length)
            return;
        var size = Math.Max(Length + more, (int)Math.Min(2L * units.Length, Array.MaxLength));
        Array.Resize(ref units, size);
        if (starts is null)
            return;
        Array.Resize(ref starts, size);
        Array.Resize(ref ends, size);
    }

    private void Materialize()
    {
        starts = new int[units.Length];
        ends = new int[units.Length];
        for (var i = 0; i < Length; i++)
        {
            starts[i] = i + shift;
            ends[i] = i + shift + 1;
        }
    }
}
