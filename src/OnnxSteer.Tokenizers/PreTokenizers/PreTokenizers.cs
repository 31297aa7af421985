namespace OnnxSteer.Tokenizers;

/// <summary>Several pre-tokenizers in a row, each cutting the pieces of the one before.</summary>
internal sealed record SequencePreTokenizer(IReadOnlyList<IPreTokenizer> PreTokenizers) : IPreTokenizer
{
    public List<NormalizedString> PreTokenize(List<NormalizedString> pieces) =>
        PreTokenizers.Aggregate(pieces, (cut, preTokenizer) => preTokenizer.PreTokenize(cut));
}

/// <summary>Cuts at the matches of a pattern.</summary>
internal sealed record SplitPreTokenizer(IPattern Pattern, SplitDelimiterBehavior Behavior, bool Invert) : IPreTokenizer
{
    public List<NormalizedString> PreTokenize(List<NormalizedString> pieces)
    {
        var cut = new List<NormalizedString>(pieces.Count);
        foreach (var piece in pieces)
            Splitter.Split(piece, Pattern, Behavior, Invert, cut);
        return cut;
    }
}

/// <summary>When a mark of a word's start goes before a piece that has none.</summary>
internal enum PrependScheme
{
    /// <summary>Before every piece.</summary>
    Always,

    /// <summary>Before the piece that starts the whole text.</summary>
    First,

    /// <summary>Before none.</summary>
    Never,
}

/// <summary>SentencePiece's way: a visible mark for every space, and pieces that begin with it.</summary>
internal sealed record MetaspacePreTokenizer(string Replacement, PrependScheme PrependScheme, bool Split) : IPreTokenizer
{
    private static readonly LiteralPattern Space = new(" ");
    private readonly LiteralPattern mark = new(Replacement);

    public List<NormalizedString> PreTokenize(List<NormalizedString> pieces)
    {
        var cut = new List<NormalizedString>(pieces.Count);
        foreach (var piece in pieces)
        {
            var text = piece.Replace(Space, Replacement);
            if (!text.Span.StartsWith(Replacement, StringComparison.Ordinal)
                && (PrependScheme == PrependScheme.Always || (PrependScheme == PrependScheme.First && text.OriginalStart == 0)))
                text = text.Prepend(Replacement);
            if (Split)
                Splitter.Split(text, mark, SplitDelimiterBehavior.MergedWithNext, invert: false, cut);
            else
                cut.Add(text);
        }
        return cut;
    }
}

/// <summary>Cuts where one script ends and another begins; Han, Hiragana and Katakana are one, and a space goes with any.</summary>
internal sealed record UnicodeScriptsPreTokenizer : IPreTokenizer
{
    private const int Any = 0;

    // By scalar, a number for its script; kana count as Han.
    private static readonly Lazy<byte[]> Script = new(() =>
    {
        var numbers = new byte[ScalarSet.Count];
        byte next = 1;
        foreach (var (name, set) in UnicodeTables.Instance.Scripts.OrderByDescending(script => script.Name == "Han"))
        {
            var number = name is "Han" or "Hiragana" or "Katakana" ? (byte)1 : ++next;
            foreach (var (first, last) in set.Ranges())
                numbers.AsSpan(first, last - first + 1).Fill(number);
        }
        numbers[' '] = Any;
        numbers[0x30FC] = 1; // The mark for long vowels, which both kana use.
        return numbers;
    });

    public List<NormalizedString> PreTokenize(List<NormalizedString> pieces)
    {
        var cut = new List<NormalizedString>(pieces.Count);
        foreach (var piece in pieces)
        {
            // What comes before the first script is in no piece: the reference library drops it.
            var (start, last) = (-1, Any);
            var span = piece.Span;
            for (var i = 0; i < span.Length; i += Scalars.LengthAt(span, i))
            {
                int script = Script.Value[Scalars.At(span, i)];
                if (script == Any)
                    continue;
                if (script != last)
                {
                    if (start >= 0)
                        cut.Add(piece.Slice(start, i));
                    start = i;
                }
                last = script;
            }
            if (start >= 0)
                cut.Add(piece.Slice(start, span.Length));
        }
        return cut;
    }
}
