namespace OnnxSteer.Tokenizers;

/// <summary>Makes the components of a tokenizer from its file; one that is not known is an error that names it.</summary>
internal static partial class ComponentParser
{
    public static INormalizer? Normalizer(JsonPlace place) => place.IsNull ? null : place["type"].Text() switch
    {
        "Sequence" => new SequenceNormalizer(Each(place["normalizers"], Normalizer)),
        "NFC" => new UnicodeNormalizer(new Normalization(compose: true, compatibility: false)),
        "NFD" => new UnicodeNormalizer(new Normalization(compose: false, compatibility: false)),
        "NFKC" => new UnicodeNormalizer(new Normalization(compose: true, compatibility: true)),
        "NFKD" => new UnicodeNormalizer(new Normalization(compose: false, compatibility: true)),
        "Lowercase" => new LowercaseNormalizer(),
        "Strip" => new StripNormalizer(place["strip_left"].Flag(ifMissing: false), place["strip_right"].Flag(ifMissing: false)),
        "StripAccents" => new RemoveNormalizer(UnicodeTables.Instance.Property("Mark_Older")),
        "Nmt" => new SequenceNormalizer([new RemoveNormalizer(NmtRemoved), new BlankNormalizer(NmtBlanks)]),
        "BertNormalizer" => Bert(place),
        "Precompiled" => Precompiled(place["precompiled_charsmap"]),
        "ByteLevel" => new ByteLevelNormalizer(),
        "Prepend" => new PrependNormalizer(place["prepend"].Text()),
        "Replace" => new ReplaceNormalizer(Pattern(place["pattern"]), place["content"].Text()),
        var type => throw Unsupported(place, "normalizer", type),
    };

    public static IPreTokenizer? PreTokenizer(JsonPlace place) => place.IsNull ? null : place["type"].Text() switch
    {
        "Sequence" => new SequencePreTokenizer(Each(place["pretokenizers"], PreTokenizer)),
        "BertPreTokenizer" => new SequencePreTokenizer(
            [Split(new ScalarPattern(RegexClasses.Space), SplitDelimiterBehavior.Removed), Split(Punctuation, SplitDelimiterBehavior.Isolated)]),
        "ByteLevel" => new ByteLevelPreTokenizer(place["add_prefix_space"].Flag(ifMissing: true), place["use_regex"].Flag(ifMissing: true)),
        "CharDelimiterSplit" => Split(new LiteralPattern(OneCharacter(place["delimiter"])), SplitDelimiterBehavior.Removed),
        "Digits" => Split(
            new ScalarPattern(Scalars.Numeric),
            place["individual_digits"].Flag(ifMissing: false) ? SplitDelimiterBehavior.Isolated : SplitDelimiterBehavior.Contiguous),
        "FixedLength" => Split(new FixedLengthPattern(Length(place["length"])), SplitDelimiterBehavior.Isolated),
        "Metaspace" => new MetaspacePreTokenizer(Mark(place), Scheme(place), place["split"].Flag(ifMissing: true)),
        "Punctuation" => Split(Punctuation, place["behavior"].IsNull ? SplitDelimiterBehavior.Isolated : Behavior(place["behavior"])),
        "Split" => new SplitPreTokenizer(Pattern(place["pattern"]), Behavior(place["behavior"]), place["invert"].Flag(ifMissing: false)),
        "UnicodeScripts" => new UnicodeScriptsPreTokenizer(),
        "Whitespace" => new SplitPreTokenizer(
            new RunsPattern(Scalars.Word, Scalars.Word.Union(RegexClasses.Space).Complement()), SplitDelimiterBehavior.Removed, Invert: true),
        "WhitespaceSplit" => Split(new ScalarPattern(RegexClasses.Space), SplitDelimiterBehavior.Removed),
        var type => throw Unsupported(place, "pre-tokenizer", type),
    };

    public static IDecoder? Decoder(JsonPlace place) => place.IsNull ? null : place["type"].Text() switch
    {
        "Sequence" => new SequenceDecoder(Each(place["decoders"], Decoder)),
        "BPEDecoder" => new BpeDecoder(place["suffix"].Text(ifMissing: "</w>")),
        "ByteFallback" => new ByteFallbackDecoder(),
        "ByteLevel" => new ByteLevelDecoder(),
        "CTC" => new CtcDecoder(
            place["pad_token"].Text(ifMissing: "<pad>"), place["word_delimiter_token"].Text(ifMissing: "|"), place["cleanup"].Flag(ifMissing: true)),
        "Fuse" => new FuseDecoder(),
        "Metaspace" => new MetaspaceDecoder(Mark(place), Scheme(place)),
        "Replace" => new ReplaceDecoder(Pattern(place["pattern"]), place["content"].Text()),
        "Strip" => new StripDecoder(OneCharacter(place["content"]), place["start"].Number(int.MaxValue), place["stop"].Number(int.MaxValue)),
        "WordPiece" => new WordPieceDecoder(place["prefix"].Text(ifMissing: "##"), place["cleanup"].Flag(ifMissing: true)),
        var type => throw Unsupported(place, "decoder", type),
    };

    private static ScalarPattern Punctuation { get; } = new(UnicodeTables.Instance.Property("Punctuation_Older"));

    private static ScalarSet NmtRemoved { get; } = ScalarSet.Of(
        [(0x1, 0x8), (0xB, 0xB), (0xE, 0x1F), (0x7F, 0x7F), (0x8F, 0x8F), (0x9F, 0x9F)]);

    private static ScalarSet NmtBlanks { get; } = ScalarSet.Of(
        [(0x9, 0xA), (0xC, 0xD), (0x1680, 0x1680), (0x200B, 0x200F), (0x2028, 0x2029), (0x2581, 0x2581), (0xFEFF, 0xFEFF), (0xFFFD, 0xFFFD)]);

    private static SplitPreTokenizer Split(IPattern pattern, SplitDelimiterBehavior behavior) => new(pattern, behavior, Invert: false);

    private static SequenceNormalizer Bert(JsonPlace place)
    {
        var steps = new List<INormalizer>();
        var lowercase = place["lowercase"].Flag(ifMissing: true);
        if (place["clean_text"].Flag(ifMissing: true))
            steps.AddRange([new RemoveNormalizer(UnicodeTables.Instance.Property("Removed_By_Bert")), new BlankNormalizer(RegexClasses.Space)]);
        if (place["handle_chinese_chars"].Flag(ifMissing: true))
            steps.Add(new SpacedIdeographsNormalizer());
        if (place["strip_accents"].Flag(ifMissing: lowercase))
            steps.AddRange(
            [
                new UnicodeNormalizer(new Normalization(compose: false, compatibility: false)),
                new RemoveNormalizer(UnicodeTables.Instance.Property("Nonspacing_Mark_Older")),
            ]);
        if (lowercase)
            steps.Add(new LowercaseNormalizer());
        return new SequenceNormalizer(steps);
    }

    private static PrecompiledNormalizer Precompiled(JsonPlace place)
    {
        try
        {
            return new PrecompiledNormalizer(Convert.FromBase64String(place.Text(maximumLength: 1 << 24)));
        }
        catch (Exception exception) when (exception is TokenizerException or FormatException)
        {
            throw place.Error(exception.Message);
        }
    }

    private static IReadOnlyList<T> Each<T>(JsonPlace list, Func<JsonPlace, T?> parse)
        where T : class =>
        [.. list.Items().Select(item => parse(item) ?? throw item.Error("null in a sequence"))];

    private static TokenizerException Unsupported(JsonPlace place, string role, string type) =>
        place.Error($"the {role} '{type}' is not supported");

    private static IPattern Pattern(JsonPlace place)
    {
        if (place["String"] is { IsNull: false } literal)
            return new LiteralPattern(literal.Text());
        var regex = place["Regex"];
        try
        {
            return RegexPattern.Parse(regex.Text());
        }
        catch (TokenizerException exception)
        {
            throw regex.Error(exception.Message);
        }
    }

    private static SplitDelimiterBehavior Behavior(JsonPlace place) => place.Choice(
        ("Removed", SplitDelimiterBehavior.Removed),
        ("Isolated", SplitDelimiterBehavior.Isolated),
        ("MergedWithPrevious", SplitDelimiterBehavior.MergedWithPrevious),
        ("MergedWithNext", SplitDelimiterBehavior.MergedWithNext),
        ("Contiguous", SplitDelimiterBehavior.Contiguous));

    private static string Mark(JsonPlace place) => OneCharacter(place["replacement"]);

    private static string OneCharacter(JsonPlace place)
    {
        var text = place.SomeText();
        return text.Length == Scalars.LengthAt(text, 0) ? text : throw place.Error($"expected one character, found '{text}'");
    }

    private static int Length(JsonPlace place) =>
        place.IsNull ? 5 : place.Number(int.MaxValue) is var length and > 0 ? length : throw place.Error("a length of 0");

    private static PrependScheme Scheme(JsonPlace place)
    {
        // Older files say it with add_prefix_space.
        var (scheme, older) = (place["prepend_scheme"], place["add_prefix_space"]);
        if (scheme.IsNull)
            return older.Flag(ifMissing: true)
                ? PrependScheme.Always
                : throw older.Error("false does not go with prepend_scheme, which is 'always' where it is missing");
        var parsed = scheme.Choice(("always", PrependScheme.Always), ("first", PrependScheme.First), ("never", PrependScheme.Never));
        return older.Flag(ifMissing: true) || parsed == PrependScheme.Never
            ? parsed
            : throw older.Error("false does not go with a prepend_scheme other than 'never'");
    }
}
