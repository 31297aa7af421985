using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>GPT-2's way: words, then each byte of their UTF-8 as one visible character.</summary>
internal sealed record ByteLevelPreTokenizer(bool AddPrefixSpace, bool UseRegex) : IPreTokenizer
{
    public List<NormalizedString> PreTokenize(List<NormalizedString> pieces)
    {
        var words = pieces;
        if (AddPrefixSpace)
            words = [.. words.Select(word => word.Span[0] == ' ' ? word : word.Prepend(" "))];
        if (UseRegex)
        {
            var cut = new List<NormalizedString>(words.Count);
            foreach (var word in words)
                Splitter.Split(word, RegexPattern.Gpt2, SplitDelimiterBehavior.Isolated, invert: false, cut);
            words = cut;
        }
        return ToByteUnits(words);
    }

    private static List<NormalizedString> ToByteUnits(List<NormalizedString> words)
    {
        // All words in one buffer: they are many and short.
        var builder = new NormalizedStringBuilder(words.Sum(word => word.Length));
        var ends = new int[words.Count];
        Span<byte> bytes = stackalloc byte[4];
        for (var i = 0; i < words.Count; i++)
        {
            var span = words[i].Span;
            for (int at = 0, length; at < span.Length; at += length)
            {
                length = Scalars.LengthAt(span, at);
                var range = words[i].OriginalRange(at, at + length);
                if (span[at] < 0x80)
                    builder.Append(ByteUnits.UnitOf((byte)span[at]), range);
                else
                    foreach (var unit in bytes[..new Rune(Scalars.At(span, at)).EncodeToUtf8(bytes)])
                        builder.Append(ByteUnits.UnitOf(unit), range);
            }
            ends[i] = builder.Length;
        }
        var all = builder.Build();
        var converted = new List<NormalizedString>(words.Count);
        for (var i = 0; i < ends.Length; i++)
            converted.Add(all.Slice(i == 0 ? 0 : ends[i - 1], ends[i]));
        return converted;
    }
}
