using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>SentencePiece's compiled map of characters: a double-array trie over UTF-8, and the replacements, each ended by a zero.</summary>
internal sealed class PrecompiledNormalizer : INormalizer
{
    // Longer clusters of characters are looked at one character at a time.
    private const int LongestCluster = 5;

    private readonly uint[] trie;
    private readonly byte[] replacements;
    private readonly bool[] isAsciiMapped = new bool[0x80];

    /// <param name="map">The size of the trie, the trie, the replacements.</param>
    public PrecompiledNormalizer(ReadOnlySpan<byte> map)
    {
        var size = map.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(map) : uint.MaxValue;
        if (size > map.Length - 4 || size % 4 != 0 || size == 0)
            throw new TokenizerException($"the map of {map.Length} bytes says that {size} of them are its trie");
        trie = new uint[size / 4];
        for (var i = 0; i < trie.Length; i++)
            trie[i] = BinaryPrimitives.ReadUInt32LittleEndian(map[(4 + (4 * i))..]);
        replacements = map[(4 + (int)size)..].ToArray();
        for (var value = 0; value < isAsciiMapped.Length; value++)
            isAsciiMapped[value] = ReplacementOf([(byte)value]) is not null;
    }

    public NormalizedString Normalize(NormalizedString text)
    {
        var span = text.Span;
        var rewriter = new Rewriter(text);
        var changed = new List<(int Scalar, int Change)>();
        Span<byte> bytes = stackalloc byte[LongestCluster + 4];
        var isMapped = false;
        for (int start = 0, length; start < span.Length; start += length)
        {
            // A character of ASCII before another is a cluster of its own, but for a line break of two.
            if (span[start] < 0x80 && !isAsciiMapped[span[start]] && (start + 1 == span.Length || (span[start + 1] < 0x80 && span[start] != '\r')))
            {
                length = 1;
                changed.Add((span[start], 0));
                continue;
            }
            length = StringInfo.GetNextTextElementLength(span[start..]);
            var cluster = span.Slice(start, length);
            if (length <= LongestCluster && Encoding.UTF8.GetByteCount(cluster) <= LongestCluster
                && ReplacementOf(bytes[..Encoding.UTF8.GetBytes(cluster, bytes)]) is { } whole)
            {
                isMapped = true;
                Replace(changed, Scalars.CountOf(cluster), whole);
                continue;
            }
            foreach (var rune in cluster.EnumerateRunes())
                if (ReplacementOf(bytes[..rune.EncodeToUtf8(bytes)]) is { } one)
                {
                    isMapped = true;
                    Replace(changed, 1, one);
                }
                else
                    changed.Add((rune.Value, 0));
        }
        if (!isMapped)
            return text;
        foreach (var (scalar, change) in changed)
            rewriter.Add(scalar, change);
        return rewriter.Build();
    }

    private static void Replace(List<(int Scalar, int Change)> changed, int count, string replacement)
    {
        var before = changed.Count;
        foreach (var rune in replacement.EnumerateRunes())
            changed.Add((rune.Value, changed.Count - before < count ? 0 : 1));
        var missing = count - (changed.Count - before);

        // What is left out belongs to the scalar before it, even to one of another cluster.
        if (missing > 0 && changed.Count > 0)
            changed[^1] = (changed[^1].Scalar, changed[^1].Change - missing);
    }

    /// <summary>The replacement of the shortest start of these bytes that has one.</summary>
    private string? ReplacementOf(ReadOnlySpan<byte> bytes)
    {
        var unit = trie[0];
        var position = Offset(unit);
        foreach (var value in bytes)
        {
            if (value == 0)
                return null;
            position ^= value;
            if (position >= trie.Length)
                return null;
            unit = trie[position];
            if ((unit & 0x800000FFu) != value)
                return null;
            position ^= Offset(unit);
            if ((unit >> 8 & 1) == 0)
                continue;
            if (position >= trie.Length)
                return null;
            var start = (int)(trie[position] & 0x7FFFFFFF);
            if (start > replacements.Length)
                return null;
            var end = Array.IndexOf(replacements, (byte)0, start);
            return Encoding.UTF8.GetString(replacements, start, (end < 0 ? replacements.Length : end) - start);
        }
        return null;
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 0x200) >> 6);
}
