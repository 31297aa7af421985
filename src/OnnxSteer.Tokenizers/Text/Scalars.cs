using System.Globalization;

namespace OnnxSteer.Tokenizers;

/// <summary>Unicode scalars and their classes in well-formed UTF-16, as the reference library's own tables have them.</summary>
internal static class Scalars
{
    /// <summary>
    /// Numbers in the sense of the Digits pre-tokenizer: Nd, Nl or No. The reference's table is one Unicode version ahead
    /// of .NET's; thirteen are new in it.
    /// </summary>
    public static ScalarSet Numeric { get; } = ScalarSet
        .Categories(category => category is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber)
        .Union(ScalarSet.Of([(0x11DE0, 0x11DE9), (0x16FF4, 0x16FF6)]));

    /// <summary>Word characters: Alphabetic, marks, decimal digits, connector punctuation and joiners. Circled and squared letters count as alphabetic.</summary>
    public static ScalarSet Word { get; } = ScalarSet
        .Categories(category => category <= UnicodeCategory.LetterNumber || category == UnicodeCategory.ConnectorPunctuation)
        .Union(ScalarSet.Of([(0x200C, 0x200D), (0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189)]));

    /// <summary>How many units the scalar at this index takes.</summary>
    public static int LengthAt(ReadOnlySpan<char> text, int index) => char.IsHighSurrogate(text[index]) ? 2 : 1;

    /// <summary>Where the scalar that ends at this index starts.</summary>
    public static int StartBefore(ReadOnlySpan<char> text, int index) => char.IsLowSurrogate(text[index - 1]) ? index - 2 : index - 1;

    /// <summary>The scalar at this index.</summary>
    public static int At(ReadOnlySpan<char> text, int index) =>
        char.IsHighSurrogate(text[index]) ? char.ConvertToUtf32(text[index], text[index + 1]) : text[index];

    /// <summary>How many scalars a text has.</summary>
    public static int CountOf(ReadOnlySpan<char> text)
    {
        var count = text.Length;
        foreach (var unit in text)
            if (char.IsLowSurrogate(unit))
                count--;
        return count;
    }
}
