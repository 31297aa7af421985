using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>What a tokenizer does, on small files of the tests' own.</summary>
public sealed class TokenizerTests
{
    [Fact]
    public void MergesInOrderOfRank()
    {
        // "▁ a" comes before "b c", and the merge of the two before "a b".
        var encoding = Written.Llama().Load().Encode("abc ab");
        Assert.Equal([1, 11, 8, 6], encoding.Ids.ToArray());
        Assert.Equal(["<s>", "▁abc", "▁a", "b"], encoding.Tokens.ToArray());
        Assert.Equal([(0, 0), (0, 3), (3, 5), (5, 6)], encoding.Offsets.ToArray());
        Assert.Equal([true, false, false, false], encoding.SpecialTokensMask.ToArray());
    }

    [Fact]
    public void FallsBackToBytesAndThenToUnknown()
    {
        var encoding = Written.Llama().Load().Encode("é??a", addSpecialTokens: false);
        Assert.Equal(["▁", "<0xC3>", "<0xA9>", "<unk>", "a"], encoding.Tokens.ToArray());
        Assert.Equal([(0, 1), (0, 1), (0, 1), (1, 3), (3, 4)], encoding.Offsets.ToArray());
    }

    [Fact]
    public void EncodesPairsByTheTemplate()
    {
        var encoding = Written.Llama().Load().Encode("a", "bc");
        Assert.Equal(["▁a", "<s>", "▁", "bc"], encoding.Tokens.ToArray());
        Assert.Equal([0, 1, 1, 1], encoding.TypeIds.ToArray());
        Assert.Equal([(0, 1), (0, 0), (0, 1), (0, 2)], encoding.Offsets.ToArray());
    }

    [Fact]
    public void DecodesWhatItEncodedAndLeavesOutWhatIsNoId()
    {
        var tokenizer = Written.Llama().Load();
        Assert.Equal("é abc", tokenizer.Decode([1, 4, 2, 3, 11, 99, -1]));
        Assert.Equal("<s> é", tokenizer.Decode([1, 4, 2, 3], skipSpecialTokens: false));
        Assert.Equal("\uFFFD\uFFFD", tokenizer.Decode([4, 2, 2]));
    }

    [Fact]
    public void KnowsItsTokens()
    {
        var tokenizer = Written.Llama().WithAdded(12, "<tool>").Load();
        Assert.Equal(13, tokenizer.VocabularySize);
        Assert.Equal((12, 11, null), (tokenizer.TokenToId("<tool>"), tokenizer.TokenToId("▁abc"), tokenizer.TokenToId("x")));
        Assert.Equal(("<tool>", "a", null, null), (tokenizer.IdToToken(12), tokenizer.IdToToken(5), tokenizer.IdToToken(13), tokenizer.IdToToken(-1)));
        Assert.True(tokenizer.IsSpecial(1));
        Assert.False(tokenizer.IsSpecial(12) || tokenizer.IsSpecial(5) || tokenizer.IsSpecial(99));
    }

    [Fact]
    public void EmptyTextHasOnlySpecialTokens()
    {
        var tokenizer = Written.Llama().Load();
        Assert.Equal([1], tokenizer.Encode("").Ids.ToArray());
        Assert.Empty(tokenizer.Encode("", addSpecialTokens: false).Ids);
        Assert.Equal("", tokenizer.Decode([]));
    }

    [Theory]
    [InlineData("\uD83D")]
    [InlineData("\uDE00")]
    [InlineData("\uDE00\uD83D")]
    public void ReadsLoneSurrogatesAsReplacementCharacters(string text)
    {
        var tokenizer = Written.ByteLevel().Load();
        var clean = tokenizer.Encode(new string('\uFFFD', text.Length));
        var encoding = tokenizer.Encode(text);
        Assert.Equal(clean.Ids.ToArray(), encoding.Ids.ToArray());
        Assert.Equal(clean.Offsets.ToArray(), encoding.Offsets.ToArray());
    }

    [Fact]
    public void ByteTokensHaveTheOffsetsOfTheirCharacter()
    {
        var encoding = Written.ByteLevel().Load().Encode("\0😀 hello");
        Assert.Equal(["Ā", "ð", "Ł", "ĺ", "Ģ", "Ġhello"], encoding.Tokens.ToArray());
        Assert.Equal([(0, 1), (1, 3), (1, 3), (1, 3), (1, 3), (3, 9)], encoding.Offsets.ToArray());
    }

    [Fact]
    public void TakesTheWhitespaceBesideAnAddedToken()
    {
        var tokenizer = Written.ByteLevel().WithAdded(300, "<l>", "lstrip").WithAdded(301, "<r>", "rstrip").Load();
        var encoding = tokenizer.Encode("a \t<l> <r> \n<l> b");
        Assert.Equal(['a', 300, ' ', 301, 300, ' ', 'b'], encoding.Ids.ToArray());
        Assert.Equal([(0, 1), (1, 6), (6, 7), (7, 12), (12, 15), (15, 16), (16, 17)], encoding.Offsets.ToArray());
    }

    [Theory]
    [InlineData("dog", 1)]
    [InlineData("a dog.", 1)]
    [InlineData("dogs", 0)]
    [InlineData("hotdog", 0)]
    [InlineData("dog_", 0)]
    [InlineData("dog\u0301", 0)]
    [InlineData("𝐀dog dog😀", 1)]
    public void FindsSingleWordsOnly(string text, int found)
    {
        var tokenizer = Written.ByteLevel().WithAdded(300, "dog", "single_word").Load();
        Assert.Equal(found, tokenizer.Encode(text).Ids.Count(id => id == 300));
    }

    [Fact]
    public void LooksForNormalizedTokensInTheNormalizedText()
    {
        var file = Written.Llama().WithAdded(12, "a b", "normalized").WithAdded(13, "b a");
        var tokenizer = file.Load();

        // "a b" is looked for as "▁a▁b", which a text that begins with it has; "b a" is found in the raw text before that.
        Assert.Equal(["▁a▁b", "c"], tokenizer.Encode("a bc", addSpecialTokens: false).Tokens.ToArray());
        Assert.Equal(["▁a", "▁", "b a", "▁", "b"], tokenizer.Encode("a b ab", addSpecialTokens: false).Tokens.ToArray());
    }

    [Fact]
    public void PrefersTheLongestAddedToken()
    {
        var tokenizer = Written.ByteLevel().WithAdded(300, "<a").WithAdded(301, "<a>b").WithAdded(302, "<a>").Load();
        Assert.Equal([302, 301, 300], tokenizer.Encode("<a><a>b<a").Ids.ToArray());
    }

    [Fact]
    public void LeavesOutOnlySpecialTokens()
    {
        var tokenizer = Written.ByteLevel().WithAdded(300, "<tool>").WithAdded(301, "<end>", "special").Load();
        var ids = tokenizer.Encode("hello<tool><end>").Ids;
        Assert.Equal([259, 300, 301], ids.ToArray());
        Assert.Equal("hello<tool>", tokenizer.Decode(ids.AsSpan()));
        Assert.Equal("hello<tool><end>", tokenizer.Decode(ids.AsSpan(), skipSpecialTokens: false));
    }

    [Fact]
    public void FindsTheFileInAFolderOrItsParent()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["onnx"]);
        Assert.Contains("tokenizer.json", Assert.Throws<TokenizerException>(() => Tokenizer.Load(folder["onnx"])).Message, StringComparison.Ordinal);
        Assert.Contains("nowhere", Assert.Throws<TokenizerException>(() => Tokenizer.Load(folder["nowhere"])).Message, StringComparison.Ordinal);
        File.WriteAllText(folder["tokenizer.json"], Written.Llama().ToJsonString());
        Assert.Equal(12, Tokenizer.Load(folder["onnx"]).VocabularySize);
        Assert.Equal(12, Tokenizer.Load(folder["onnx"] + Path.DirectorySeparatorChar).VocabularySize);
        Assert.Equal(12, Tokenizer.Load(folder["tokenizer.json"]).VocabularySize);
    }

    [Fact]
    public void ThreadsShareATokenizer()
    {
        var tokenizer = Written.ByteLevel().Load();
        var texts = Enumerable.Range(0, 2000).Select(index => $"hello {index * 7919 % 1000} hell{new string('o', index % 5)}").ToArray();
        var alone = Written.ByteLevel().Load();
        var expected = texts.Select(text => alone.Encode(text).Ids.ToArray()).ToArray();
        Parallel.For(0, 20_000, index => Assert.Equal(expected[index % 2000], tokenizer.Encode(texts[index % 2000]).Ids.ToArray()));
    }
}
