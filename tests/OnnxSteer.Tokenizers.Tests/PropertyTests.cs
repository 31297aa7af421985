using System.Text;
using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>What holds for every text, on random ones: the seed is fixed, so that a failure comes again.</summary>
public sealed class PropertyTests
{
    private static readonly string[] Alphabet =
    [
        "a", "b", "e", "t", "A", " ", " ", "  ", "\n", "\r\n", "\t", "\0", "'", "'s", "1", "23", ".", "--", "é", "e\u0301", "ß", "я", "中", "한",
        "😀", "👩‍👧", "𝐀", "𠮷", "\u00A0", "\u3000", "\u2028", "\uFFFD", "\uD800", "\uDC00", "▁", "<s>", "<|im_start|>", "</s", "the", "ing", "Hello",
    ];

    public static TheoryData<string> ByteLevel => ["smollm2-135m", "gpt2-like", "llama3-trim", "gptoss-trim", "deepseek-v3-trim"];

    public static TheoryData<string> All =>
        ["stories260k", "smollm2-135m", "llama2", "gpt2-like", "roberta-like", "gemma3-trim", "bpe-nounk", "bpe-digits-grouped"];

    [SharedTheory]
    [MemberData(nameof(ByteLevel))]
    public void ByteLevelTokensAreTheWholeText(string name)
    {
        var tokenizer = Tokenizer.Load(Golden.TokenizerOf(name));
        foreach (var text in Texts(400))
        {
            var clean = text.EnumerateRunes().Aggregate(new StringBuilder(), (builder, rune) => builder.Append(rune)).ToString();
            Assert.Equal(clean, tokenizer.Decode(tokenizer.Encode(text, addSpecialTokens: false).Ids.AsSpan(), skipSpecialTokens: false));
        }
    }

    // Without roberta-like: it trims spaces, and a trimmed prefix space stands behind the character that it goes before.
    public static TheoryData<string> Untrimmed =>
        ["stories260k", "smollm2-135m", "llama2", "gpt2-like", "gemma3-trim", "bpe-nounk", "bpe-digits-grouped", "bpe-metaspace-always-fuse"];

    [SharedTheory]
    [MemberData(nameof(Untrimmed))]
    public void OffsetsMoveForwardWithinTheText(string name)
    {
        var tokenizer = Tokenizer.Load(Golden.TokenizerOf(name));
        foreach (var text in Texts(400))
        {
            var encoding = tokenizer.Encode(text, addSpecialTokens: false);
            Assert.Equal(encoding.Ids.Length, encoding.Offsets.Length);
            var (lastStart, lastEnd) = (0, 0);
            foreach (var (start, end) in encoding.Offsets)
            {
                Assert.InRange(start, lastStart, end);
                Assert.InRange(end, lastEnd, text.Length);
                Assert.False(start > 0 && start < text.Length && char.IsSurrogatePair(text, start - 1), "an offset cuts a character in two");
                (lastStart, lastEnd) = (start, end);
            }
        }
    }

    [SharedTheory]
    [MemberData(nameof(All))]
    public void StreamedTextIsDecodedText(string name)
    {
        var tokenizer = Tokenizer.Load(Golden.TokenizerOf(name));
        foreach (var text in Texts(100))
            foreach (var wholeWords in new[] { false, true })
                foreach (var skip in new[] { false, true })
                {
                    var ids = tokenizer.Encode(text).Ids;
                    var stream = tokenizer.Stream(skip, wholeWords);
                    for (var turn = 0; turn < 2; turn++)
                    {
                        var streamed = string.Concat(ids.Select(stream.Append)) + stream.Flush();
                        Assert.Equal(tokenizer.Decode(ids.AsSpan(), skip), streamed);
                    }
                }
    }

    [SharedTheory]
    [MemberData(nameof(All))]
    public void StreamsOfAnyIdsNeverThrowNorCutACharacter(string name)
    {
        var tokenizer = Tokenizer.Load(Golden.TokenizerOf(name));
        var random = new Random(7);
        for (var round = 0; round < 200; round++)
        {
            var stream = tokenizer.Stream(skipSpecialTokens: false, wholeWords: round % 2 == 0);

            // Low ids are byte tokens in many files, so that half of the draws make broken UTF-8.
            var ids = Enumerable.Range(0, 40).Select(_ => random.Next(round % 4 < 2 ? 300 : tokenizer.VocabularySize + 10)).ToList();
            foreach (var part in ids.Select(stream.Append).Append(stream.Flush()))
                Assert.Equal(part, part.EnumerateRunes().Aggregate("", (text, rune) => text + rune));
        }
    }

    [SharedTheory]
    [InlineData("stories260k")]
    [InlineData("llama2")]
    [InlineData("smollm2-135m")]
    public void MergesAsTheDefinitionSays(string name)
    {
        var file = Golden.TokenizerOf(name);
        var tokenizer = Tokenizer.Load(file);
        var naive = new NaiveBpe(JsonDocument.Parse(File.ReadAllText(file)).RootElement.GetProperty("model"));
        var random = new Random(11);
        for (var round = 0; round < 20; round++)
        {
            // One word of letters only, which no pre-tokenizer cuts, so long that the order of merges matters everywhere.
            var word = string.Concat(Enumerable.Range(0, random.Next(2, 1500)).Select(_ => "aeiounrsthl"[random.Next(11)]));
            var start = name == "smollm2-135m" ? word : "▁" + word;
            Assert.Equal(naive.Tokens(start), tokenizer.Encode(word, addSpecialTokens: false).Tokens.ToArray());
        }
    }

    [SharedTheory]
    [InlineData("stories260k", "the cat ")]
    [InlineData("llama2", "aaaaaaaa")]
    [InlineData("smollm2-135m", "thecat")]
    [InlineData("smollm2-135m", "        ")]
    [InlineData("llama3-trim", "😀\n")]
    public void AMillionCharactersTakeNoQuadraticTime(string name, string repeated)
    {
        var tokenizer = Tokenizer.Load(Golden.TokenizerOf(name));
        var text = new StringBuilder().Insert(0, repeated, 1_000_000 / repeated.Length).ToString();
        var encoding = tokenizer.Encode(text, addSpecialTokens: false);
        Assert.Equal(text, tokenizer.Decode(encoding.Ids.AsSpan()));
        Assert.Equal(text.Length, encoding.Offsets[^1].End);
    }

    private static IEnumerable<string> Texts(int count)
    {
        var random = new Random(3);
        for (var i = 0; i < count; i++)
            yield return string.Concat(Enumerable.Range(0, random.Next(30)).Select(_ => Alphabet[random.Next(Alphabet.Length)]));
    }

    /// <summary>BPE as it is defined: of all neighbours merge the pair of lowest rank, the leftmost of equals, until there is none.</summary>
    private sealed class NaiveBpe
    {
        private readonly Dictionary<(string, string), int> ranks = [];

        public NaiveBpe(JsonElement model)
        {
            foreach (var merge in model.GetProperty("merges").EnumerateArray())
            {
                var pair = merge.ValueKind == JsonValueKind.String ? merge.GetString()!.Split(' ') : [merge[0].GetString()!, merge[1].GetString()!];
                ranks[(pair[0], pair[1])] = ranks.Count;
            }
        }

        public string[] Tokens(string word)
        {
            var symbols = word.Select(unit => unit.ToString()).ToList();
            while (true)
            {
                var best = -1;
                var bestRank = int.MaxValue;
                for (var i = 0; i + 1 < symbols.Count; i++)
                    if (ranks.TryGetValue((symbols[i], symbols[i + 1]), out var rank) && rank < bestRank)
                        (best, bestRank) = (i, rank);
                if (best < 0)
                    return [.. symbols];
                symbols[best] += symbols[best + 1];
                symbols.RemoveAt(best + 1);
            }
        }
    }
}
