using System.Text.Json.Nodes;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>tokenizer_config.json, limits, and special tokens as text.</summary>
public sealed class ConfigTests
{
    [Theory]
    [InlineData("""{"add_bos_token":true,"bos_token":"<s>"}""", new[] { 1, 8, 9 }, 0)]
    [InlineData("""{"add_bos_token":false,"bos_token":"<s>"}""", new[] { 8, 9 }, 1)]
    [InlineData("""{"add_eos_token":true,"eos_token":{"content":"<unk>"}}""", new[] { 1, 8, 9, 0 }, 1)]
    [InlineData("""{"add_bos_token":false,"add_eos_token":true,"bos_token":"<s>","eos_token":"<s>"}""", new[] { 8, 9, 1 }, 2)]
    [InlineData("""{"bos_token":"<s>","model_max_length":7}""", new[] { 1, 8, 9 }, 0)]
    public void BeginningAndEndAreAsTheConfigSays(string config, int[] ids, int changes)
    {
        var tokenizer = Load(Written.Llama(), config);
        Assert.Equal(ids, tokenizer.Encode("aab").Ids.ToArray());
        Assert.Equal(changes, tokenizer.ConfigChanges.Count);
        Assert.Equal(config.Contains("max", StringComparison.Ordinal) ? 7 : null, tokenizer.ModelMaxLength);
    }

    [Fact]
    public void ABeginningGoesBeforeEachTextOfAPair()
    {
        var file = Written.Llama();
        file["post_processor"] = null;
        var tokenizer = Load(file, """{"add_bos_token":true,"bos_token":"<s>"}""");
        Assert.Equal(["<s>", "▁a", "<s>", "▁", "b"], tokenizer.Encode("a", "b").Tokens.ToArray());
        Assert.Equal([0, 0, 1, 1, 1], tokenizer.Encode("a", "b").TypeIds.ToArray());
        Assert.Equal(["▁a"], tokenizer.Encode("a", addSpecialTokens: false).Tokens.ToArray());
    }

    [Theory]
    [InlineData("""{"add_bos_token":true}""", "add_bos_token: true, but there is no bos_token")]
    [InlineData("""{"add_eos_token":true,"eos_token":"</s>"}""", "eos_token: '</s>', which add_eos_token wants, is no token")]
    [InlineData("""{"add_bos_token":1}""", "add_bos_token: expected true or false")]
    [InlineData("{", "not valid JSON")]
    public void RefusesAConfigThatCannotBeMet(string config, string reason)
    {
        var message = Assert.Throws<TokenizerException>(() => Load(Written.Llama(), config)).Message;
        Assert.Contains("tokenizer_config.json: ", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Fact]
    public void SpecialTokensInATextCanBeText()
    {
        var tokenizer = Written.ByteLevel().WithAdded(300, "<end>", "special").WithAdded(301, "<tool>").Load();
        Assert.Equal(['a', 300, 301], tokenizer.Encode("a<end><tool>").Ids.ToArray());
        var plain = tokenizer.WithSpecialTokensAsText().Encode("a<end><tool>");
        Assert.Equal(['a', .. "<end>".Select(unit => (int)unit), 301], plain.Ids.ToArray());
        Assert.Equal("a<end><tool>", tokenizer.Decode(plain.Ids.AsSpan()));
    }

    [Fact]
    public void TextsAreCutAndFilledUpAsTheFileSaysUnlessLimitsAreOff()
    {
        var file = Written.Llama();
        file["truncation"] = JsonNode.Parse("""{"max_length":3,"strategy":"LongestFirst","stride":0,"direction":"Left"}""");
        file["padding"] = JsonNode.Parse("""{"strategy":{"Fixed":5},"direction":"Right","pad_to_multiple_of":4,"pad_id":0,"pad_type_id":2,"pad_token":"<unk>"}""");
        var tokenizer = file.Load();
        var encoding = tokenizer.Encode("abc ab");
        Assert.Equal([1, 8, 6, 0, 0, 0, 0, 0], encoding.Ids.ToArray());
        Assert.Equal([true, true, true, false, false, false, false, false], encoding.AttentionMask.ToArray());
        Assert.Equal(2, encoding.TypeIds[7]);
        Assert.Equal([1, 11, 8, 6], tokenizer.WithoutLimits().Encode("abc ab").Ids.ToArray());
        Assert.Equal([1, 6], tokenizer.WithMaxLength(2).Encode("abc ab").Ids.Take(2).ToArray());
        Assert.Contains("alone adds 1", Assert.Throws<TokenizerException>(() => tokenizer.WithMaxLength(0).Encode("a")).Message, StringComparison.Ordinal);
    }

    [SharedTheory]
    [InlineData("gpt2-like", 'a')]
    [InlineData("llama2", 'a')]
    [InlineData("llama2", ' ')]
    [InlineData("gptoss-trim", 'A')]
    [InlineData("deepseek-v3-trim", '1')]
    [InlineData("unigram-bytefallback", 'e')]
    [InlineData("xlmr-like", '\u0301')]
    [InlineData("minilm-wordpiece", 'x')]
    [InlineData("wordlevel", '!')]
    [InlineData("llama3-trim", '\uD800')]
    public void TenMillionOfOneCharacterTakeBoundedTime(string name, char character)
    {
        var tokenizer = Tokenizer.Load(Golden.TokenizerOf(name)).WithoutLimits();
        var started = System.Diagnostics.Stopwatch.StartNew();
        var encoding = tokenizer.Encode(new string(character, 10_000_000));
        Assert.NotEmpty(encoding.Ids);
        Assert.True(started.Elapsed < TimeSpan.FromMinutes(1), $"{started.Elapsed}");
    }

    private static Tokenizer Load(JsonObject file, string config)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["tokenizer.json"], file.ToJsonString());
        File.WriteAllText(folder["tokenizer_config.json"], config);
        return Tokenizer.Load(folder.Path);
    }
}
