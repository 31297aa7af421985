using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Character classes against those that the reference itself uses, over all of Unicode.</summary>
public sealed class ScalarsTests
{
    [SharedFact]
    public void NumbersAreTheReferences() => Same("numeric (Digits)", Scalars.Numeric.Contains);

    [SharedFact]
    public void WordCharactersAreTheReferences() => Same("word (Whitespace)", Scalars.Word.Contains);

    [SharedFact]
    public void WhitespaceIsTheReferences() =>
        Same("whitespace (WhitespaceSplit)", RegexClasses.Space.Contains);

    [SharedTheory]
    [InlineData("L")]
    [InlineData("Lu")]
    [InlineData("Ll")]
    [InlineData("M")]
    [InlineData("N")]
    [InlineData("P")]
    [InlineData("S")]
    [InlineData("Han")]
    public void RegexPropertiesAreTheReferences(string name) => Same($"\\p{{{name}}}", RegexClasses.Find(name)!.Contains, "onig");

    [SharedFact]
    public void RegexClassesAreTheReferences()
    {
        Same(@"\w", RegexClasses.Word.Contains, "onig");
        Same(@"\s", RegexClasses.Space.Contains, "onig");
        Same(@"\d", RegexClasses.Digit.Contains, "onig");
        Same(@"\h", RegexClasses.HexDigit.Contains, "onig");
    }

    private static void Same(string name, Func<int, bool> isMember, string table = "char")
    {
        var file = File.ReadAllText(Folders.InShared("golden", "tokenizers", "unicode_classes.json"));
        var bounds = JsonDocument.Parse(file).RootElement.GetProperty(table).GetProperty(name).EnumerateArray().Select(bound => bound.GetInt32()).ToArray();
        var expected = new SortedSet<int>();
        for (var i = 0; i < bounds.Length; i += 2)
            expected.UnionWith(Enumerable.Range(bounds[i], bounds[i + 1] - bounds[i] + 1));
        var actual = Enumerable.Range(0, 0x110000).Where(scalar => scalar is < 0xD800 or > 0xDFFF && isMember(scalar));
        Assert.Equal(expected, actual);
    }
}
