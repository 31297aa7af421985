namespace OnnxSteer.Tokenizers;

/// <summary>Makes the components of a tokenizer from its file; one that is not supported is an error that names it.</summary>
internal static partial class ComponentParser
{
    public static INormalizer? Normalizer(JsonPlace place) => place.IsNull ? null : place["type"].Text() switch
    {
        "Sequence" => new SequenceNormalizer(Each(place["normalizers"], Normalizer)),
        "Prepend" => new PrependNormalizer(place["prepend"].Text()),
        "Replace" => new ReplaceNormalizer(Pattern(place["pattern"]), place["content"].Text()),
        var type => throw Unsupported(place, "normalizer", type),
    };

    public static IPreTokenizer? PreTokenizer(JsonPlace place) => place.IsNull ? null : place["type"].Text() switch
    {
        "Sequence" => new SequencePreTokenizer(Each(place["pretokenizers"], PreTokenizer)),
        "ByteLevel" => new ByteLevelPreTokenizer(place["add_prefix_space"].Flag(ifMissing: true), place["use_regex"].Flag(ifMissing: true)),
        "Digits" => new SplitPreTokenizer(
            new ScalarPattern(Scalars.IsNumeric),
            place["individual_digits"].Flag(ifMissing: false) ? SplitDelimiterBehavior.Isolated : SplitDelimiterBehavior.Contiguous,
            Invert: false),
        "Metaspace" => new MetaspacePreTokenizer(Mark(place), Scheme(place), place["split"].Flag(ifMissing: true)),
        "Split" => new SplitPreTokenizer(Pattern(place["pattern"]), Behavior(place["behavior"]), place["invert"].Flag(ifMissing: false)),
        "WhitespaceSplit" => new SplitPreTokenizer(
            new ScalarPattern(scalar => scalar <= char.MaxValue && char.IsWhiteSpace((char)scalar)), SplitDelimiterBehavior.Removed, Invert: false),
        var type => throw Unsupported(place, "pre-tokenizer", type),
    };

    public static IDecoder? Decoder(JsonPlace place) => place.IsNull ? null : place["type"].Text() switch
    {
        "Sequence" => new SequenceDecoder(Each(place["decoders"], Decoder)),
        "ByteFallback" => new ByteFallbackDecoder(),
        "ByteLevel" => new ByteLevelDecoder(),
        "Fuse" => new FuseDecoder(),
        "Metaspace" => new MetaspaceDecoder(Mark(place), Scheme(place)),
        "Replace" => new ReplaceDecoder(Pattern(place["pattern"]), place["content"].Text()),
        "Strip" => new StripDecoder(OneCharacter(place["content"]), place["start"].Number(int.MaxValue), place["stop"].Number(int.MaxValue)),
        var type => throw Unsupported(place, "decoder", type),
    };

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
        catch (Exception exception) when (exception is TokenizerException or ArgumentException)
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
