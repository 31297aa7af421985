using System.Globalization;

namespace OnnxSteer.Tokenizers;

/// <summary>The named classes of Oniguruma, and what a letter matches whatever its case.</summary>
internal static class RegexClasses
{
    private static readonly (string Short, string Long, Func<UnicodeCategory, bool> IsIn)[] Categories =
    [
        ("L", "Letter", c => c <= UnicodeCategory.OtherLetter), ("Lu", "Uppercase_Letter", c => c == UnicodeCategory.UppercaseLetter),
        ("Ll", "Lowercase_Letter", c => c == UnicodeCategory.LowercaseLetter), ("Lt", "Titlecase_Letter", c => c == UnicodeCategory.TitlecaseLetter),
        ("LC", "Cased_Letter", c => c <= UnicodeCategory.TitlecaseLetter),
        ("Lm", "Modifier_Letter", c => c == UnicodeCategory.ModifierLetter), ("Lo", "Other_Letter", c => c == UnicodeCategory.OtherLetter),
        ("M", "Mark", c => c is >= UnicodeCategory.NonSpacingMark and <= UnicodeCategory.EnclosingMark),
        ("Mn", "Nonspacing_Mark", c => c == UnicodeCategory.NonSpacingMark), ("Mc", "Spacing_Mark", c => c == UnicodeCategory.SpacingCombiningMark),
        ("Me", "Enclosing_Mark", c => c == UnicodeCategory.EnclosingMark),
        ("N", "Number", c => c is >= UnicodeCategory.DecimalDigitNumber and <= UnicodeCategory.OtherNumber),
        ("Nd", "Decimal_Number", c => c == UnicodeCategory.DecimalDigitNumber), ("Nl", "Letter_Number", c => c == UnicodeCategory.LetterNumber),
        ("No", "Other_Number", c => c == UnicodeCategory.OtherNumber),
        ("Z", "Separator", c => c is >= UnicodeCategory.SpaceSeparator and <= UnicodeCategory.ParagraphSeparator),
        ("Zs", "Space_Separator", c => c == UnicodeCategory.SpaceSeparator), ("Zl", "Line_Separator", c => c == UnicodeCategory.LineSeparator),
        ("Zp", "Paragraph_Separator", c => c == UnicodeCategory.ParagraphSeparator),
        ("C", "Other", c => c is (>= UnicodeCategory.Control and <= UnicodeCategory.PrivateUse) or UnicodeCategory.OtherNotAssigned),
        ("Cc", "Control", c => c == UnicodeCategory.Control), ("Cf", "Format", c => c == UnicodeCategory.Format),
        ("Cs", "Surrogate", c => c == UnicodeCategory.Surrogate), ("Co", "Private_Use", c => c == UnicodeCategory.PrivateUse),
        ("Cn", "Unassigned", c => c == UnicodeCategory.OtherNotAssigned),
        ("P", "Punctuation", c => c is >= UnicodeCategory.ConnectorPunctuation and <= UnicodeCategory.OtherPunctuation),
        ("Pc", "Connector_Punctuation", c => c == UnicodeCategory.ConnectorPunctuation), ("Pd", "Dash_Punctuation", c => c == UnicodeCategory.DashPunctuation),
        ("Ps", "Open_Punctuation", c => c == UnicodeCategory.OpenPunctuation), ("Pe", "Close_Punctuation", c => c == UnicodeCategory.ClosePunctuation),
        ("Pi", "Initial_Punctuation", c => c == UnicodeCategory.InitialQuotePunctuation), ("Pf", "Final_Punctuation", c => c == UnicodeCategory.FinalQuotePunctuation),
        ("Po", "Other_Punctuation", c => c == UnicodeCategory.OtherPunctuation),
        ("S", "Symbol", c => c is >= UnicodeCategory.MathSymbol and <= UnicodeCategory.OtherSymbol),
        ("Sm", "Math_Symbol", c => c == UnicodeCategory.MathSymbol), ("Sc", "Currency_Symbol", c => c == UnicodeCategory.CurrencySymbol),
        ("Sk", "Modifier_Symbol", c => c == UnicodeCategory.ModifierSymbol), ("So", "Other_Symbol", c => c == UnicodeCategory.OtherSymbol),
    ];

    private static readonly Lazy<Dictionary<int, int[]>> SameCase = new(() => UnicodeTables.Instance.Folds
        .GroupBy(fold => fold.Value)
        .Select(group => group.Select(fold => fold.Key).Append(group.Key).Distinct().ToArray())
        .SelectMany(same => same.Select(scalar => (scalar, same)))
        .ToDictionary(pair => pair.scalar, pair => pair.same));

    private static readonly Lazy<Dictionary<string, int[]>> SameAsSeveral = new(() => UnicodeTables.Instance.MultiFolds
        .GroupBy(fold => Key(fold.Value))
        .ToDictionary(group => group.Key, group => group.Select(fold => fold.Key).ToArray(), StringComparer.Ordinal));

    public static ScalarSet Space { get; } = ScalarSet.Of(
        [(0x9, 0xD), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)]);

    public static ScalarSet Digit { get; } = Category("Nd")!;

    public static ScalarSet HexDigit { get; } = ScalarSet.Of([('0', '9'), ('A', 'F'), ('a', 'f')]);

    // Six numbers of Latin-1 count as letters in Oniguruma.
    public static ScalarSet Word { get; } = Property("Alphabetic").Union(Category("M")!).Union(Digit).Union(Category("Pc")!)
        .Union(ScalarSet.Of(0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE));

    /// <summary>A class by the name in \p{…} or [:…:], case, spaces, '-' and '_' ignored; null if there is none.</summary>
    public static ScalarSet? Find(string name)
    {
        var plain = Plain(name);
        return Category(plain) ?? plain switch
        {
            "any" => ScalarSet.All,
            "assigned" => ScalarSet.Assigned,
            "ascii" => ScalarSet.Range(0, 0x7F),
            "space" or "whitespace" => Space,
            "digit" => Digit,
            "xdigit" => HexDigit,
            "word" => Word,
            "alpha" => Property("Alphabetic"),
            "alnum" => Property("Alphabetic").Union(Digit),
            "upper" => Property("Uppercase"),
            "lower" => Property("Lowercase"),
            "cntrl" => Category("Cc"),
            "punct" => Category("P")!.Union(ScalarSet.Of('$', '+', '<', '=', '>', '^', '`', '|', '~')),
            "blank" => Category("Zs")!.Union(ScalarSet.Of('\t')),
            "graph" => Graph(),
            "print" => Graph().Union(Category("Zs")!),
            _ => UnicodeTables.Instance.Names.FirstOrDefault(known => Plain(known) == plain) is { } known ? Property(known) : null,
        };
    }

    /// <summary>A scalar with all that fold to the same.</summary>
    public static ScalarSet Folded(int scalar) => SameCase.Value.TryGetValue(scalar, out var same) ? ScalarSet.Of(same) : ScalarSet.Of(scalar);

    public static ScalarSet Folded(ScalarSet set) =>
        set.Union(ScalarSet.Of(SameCase.Value.Where(pair => set.Contains(pair.Key)).SelectMany(pair => pair.Value).Select(scalar => (scalar, scalar))));

    /// <summary>Single scalars that fold to several.</summary>
    public static int[] FoldingTo(IEnumerable<int> several) => SameAsSeveral.Value.GetValueOrDefault(Key(several.Select(Fold)), []);

    /// <summary>What a scalar folds to where that is several.</summary>
    public static int[]? Unfolded(int scalar) => UnicodeTables.Instance.MultiFolds.GetValueOrDefault(scalar);

    private static int Fold(int scalar) => UnicodeTables.Instance.Folds.GetValueOrDefault(scalar, scalar);

    private static string Key(IEnumerable<int> scalars) => string.Join(' ', scalars);

    private static ScalarSet Property(string name) => UnicodeTables.Instance.Find(name)!;

    private static ScalarSet Graph() => Space.Union(Category("Cc")!).Union(Category("Cn")!).Union(Category("Cs")!).Complement();

    private static ScalarSet? Category(string name)
    {
        foreach (var (shortName, longName, isIn) in Categories)
            if (string.Equals(shortName, name, StringComparison.OrdinalIgnoreCase) || Plain(longName) == name)
                return ScalarSet.Categories(isIn);
        return null;
    }

    private static string Plain(string name) =>
        name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).Replace(" ", "", StringComparison.Ordinal).ToLowerInvariant();
}
