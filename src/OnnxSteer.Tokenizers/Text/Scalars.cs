using System.Globalization;

namespace OnnxSteer.Tokenizers;

/// <summary>Unicode scalars and their classes in well-formed UTF-16, as the reference library's own tables have them.</summary>
internal static class Scalars
{
    /// <summary>How many units the scalar at this index takes.</summary>
    public static int LengthAt(ReadOnlySpan<char> text, int index) => char.IsHighSurrogate(text[index]) ? 2 : 1;

    /// <summary>Where the scalar that ends at this index starts.</summary>
    public static int StartBefore(ReadOnlySpan<char> text, int index) => char.IsLowSurrogate(text[index - 1]) ? index - 2 : index - 1;

    /// <summary>The scalar at this index.</summary>
    public static int At(ReadOnlySpan<char> text, int index) =>
        char.IsHighSurrogate(text[index]) ? char.ConvertToUtf32(text[index], text[index + 1]) : text[index];

    /// <summary>Whether a scalar is a number in the sense of the Digits pre-tokenizer: Nd, Nl or No.</summary>
    public static bool IsNumeric(int scalar) =>
        CharUnicodeInfo.GetUnicodeCategory(scalar)
            is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber

        // The reference's table is one Unicode version ahead of .NET's; these thirteen are new in it.
        || scalar is (>= 0x11DE0 and <= 0x11DE9) or (>= 0x16FF4 and <= 0x16FF6);

    /// <summary>Whether a scalar is a word character: Alphabetic, a mark, a decimal digit, connector punctuation or a joiner.</summary>
    public static bool IsWord(int scalar) => CharUnicodeInfo.GetUnicodeCategory(scalar) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
            or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter => true,
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark => true,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation => true,

        // Circled and squared letters are symbols that count as alphabetic.
        UnicodeCategory.OtherSymbol => scalar is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149)
            or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
        _ => scalar is 0x200C or 0x200D,
    };
}
