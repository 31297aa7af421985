using System.Text;
using System.Text.Json.Nodes;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Files that are broken, malicious or beyond what is supported: each is refused with the place and the reason.</summary>
public sealed class HostileFileTests
{
    private const string Vocabulary = "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}";

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "expected an object, found a list")]
    [InlineData("null", "expected an object, found null")]
    [InlineData("{}", "model: expected an object, found nothing")]
    [InlineData("""{"version":"2.0"}""", "version: version '2.0' is not supported")]
    [InlineData("""{"model":{"type":"BPE"},"model":{"type":"BPE"}}""", "not valid JSON")]
    [InlineData("""{"model":{"type":7}}""", "model.type: expected a string, found a number")]
    [InlineData("""{"model":{"type":"\ud800"}}""", "UTF-16")]
    public void RefusesWhatIsNoTokenizer(string json, string reason) => Refused(json, reason);

    [Theory]
    [InlineData("""{"type":"Unigram"}""", "model.vocab: expected a list, found nothing")]
    [InlineData("""{"type":"Unigram","vocab":[["a",-1],["b"]]}""", "model.vocab: entry 1 is not a token and its score")]
    [InlineData("""{"type":"Unigram","vocab":[["a",1e999]]}""", "model.vocab: entry 0 is not a token and its score")]
    [InlineData("""{"type":"Unigram","vocab":[["a",-1]],"unk_id":1}""", "model.unk_id: 1 is no whole number from 0 to 0")]
    [InlineData("""{"type":"WordPiece","vocab":{"a":0},"max_input_chars_per_word":-1}""", "model.max_input_chars_per_word: -1")]
    [InlineData("""{"type":"Morphemes"}""", "model: the model 'Morphemes' is not supported")]
    [InlineData("""{"type":"BPE","vocab":[],"merges":[]}""", "model.vocab: expected an object, found a list")]
    [InlineData("""{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]}""", "not valid JSON")]
    [InlineData("""{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}""", "model.vocab: 'b' and 'a' have the same id 0")]
    [InlineData("""{"type":"BPE","vocab":{"a":-1},"merges":[]}""", "the id of 'a' is -1")]
    [InlineData("""{"type":"BPE","vocab":{"a":2000000000},"merges":[]}""", "the id of 'a' is 2000000000")]
    [InlineData("""{"type":"BPE","vocab":{"a":1.5},"merges":[]}""", "the id of 'a' is 1.5")]
    [InlineData("""{"type":"BPE","vocab":{"a":"0"},"merges":[]}""", "the id of 'a' is 0")]
    [InlineData("""{"type":"BPE",VOCAB}""", "model.merges: expected a list, found nothing")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":["a b","a c"]}""", "model.merges[1]: 'c' is not in the vocabulary")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":[["x","b"]]}""", "model.merges[0]: 'x' is not in the vocabulary")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":["b a"]}""", "model.merges[0]: 'ba', into which 'b' and 'a' merge, is not")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":["ab"]}""", "model.merges[0]: expected two tokens")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":["a b c"]}""", "model.merges[0]: expected two tokens")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":[["a"]]}""", "model.merges[0]: expected two tokens")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":[{}]}""", "model.merges[0]: expected two tokens")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":[],"dropout":0.1}""", "model.dropout: dropout makes the tokens random")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":["ab a"],"continuing_subword_prefix":"##"}""", "model.merges[0]: 'a' is shorter than the prefix '##'")]
    [InlineData("""{"type":"BPE",VOCAB,"merges":[],"byte_fallback":1}""", "model.byte_fallback: expected true or false, found a number")]
    public void RefusesModels(string model, string reason) =>
        Refused($$$"""{"model":{{{model.Replace("VOCAB", Vocabulary, StringComparison.Ordinal)}}}}""", reason);

    [Theory]
    [InlineData("normalizer", """{"type":"NFX"}""", "normalizer: the normalizer 'NFX' is not supported")]
    [InlineData("normalizer", """{"type":"Precompiled","precompiled_charsmap":"!"}""", "normalizer.precompiled_charsmap: ")]
    [InlineData("normalizer", """{"type":"Precompiled","precompiled_charsmap":"AP//AA=="}""", "normalizer.precompiled_charsmap: the map of 4 bytes")]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[{"type":"Nmx"}]}""", "normalizer.normalizers[0]: the normalizer 'Nmx' is not")]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[null]}""", "normalizer.normalizers[0]: null in a sequence")]
    [InlineData("normalizer", """{"type":"Replace","pattern":{"Regex":"["},"content":""}""", "normalizer.pattern.Regex: ")]
    [InlineData("normalizer", """{"type":"Replace","pattern":{},"content":""}""", "normalizer.pattern.Regex: expected a string, found nothing")]
    [InlineData("pre_tokenizer", """{"type":"Blanks"}""", "the pre-tokenizer 'Blanks' is not supported")]
    [InlineData("pre_tokenizer", """{"type":"FixedLength","length":0}""", "pre_tokenizer.length: a length of 0")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"\\p{Klingon}+"},"behavior":"Isolated"}""", "the property 'Klingon'")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"}""", "a group without end")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a)"},"behavior":"Isolated"}""", "an unmatched )")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a{1,999999}"},"behavior":"Isolated"}""", "more than 100000 repeats")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"((ab){1,9999}){1,9999}"},"behavior":"Isolated"}""", "repeats too much")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"((){9999}){9999}"},"behavior":"Isolated"}""", "repeats too much")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"String":"a"},"behavior":"Sometimes"}""", "pre_tokenizer.behavior: 'Sometimes' is none")]
    [InlineData("pre_tokenizer", """{"type":"Metaspace","replacement":"__"}""", "pre_tokenizer.replacement: expected one character, found '__'")]
    [InlineData("pre_tokenizer", """{"type":"Metaspace","replacement":"_","add_prefix_space":false}""", "pre_tokenizer.add_prefix_space: false")]
    [InlineData("decoder", """{"type":"Morse"}""", "the decoder 'Morse' is not supported")]
    [InlineData("decoder", """{"type":"Strip","content":" ","start":-1,"stop":0}""", "decoder.start: -1 is no whole number")]
    [InlineData("post_processor", """{"type":"Postscript"}""", "the post-processor 'Postscript' is not supported")]
    [InlineData("post_processor", """{"type":"BertProcessing"}""", "post_processor.cls: expected a list, found nothing")]
    [InlineData("post_processor", """{"type":"RobertaProcessing","sep":["a",0],"cls":["b",99]}""", "post_processor.cls[1]: 99 is the id of no token")]
    [InlineData("post_processor", """{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{"x":{"ids":[7],"tokens":["x"]}}}""", "special_tokens.x.ids[0]: 7 is the id of no token")]
    [InlineData("post_processor", """{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{"x":{"ids":[],"tokens":["x"]}}}""", "0 ids for 1 tokens")]
    [InlineData("post_processor", """{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"y","type_id":0}}],"pair":[],"special_tokens":{}}""", "post_processor.single[0].SpecialToken.id: 'y'")]
    [InlineData("post_processor", """{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}}""", "cannot name the second")]
    [InlineData("added_tokens", """[{"id":2,"content":"x"}]""", "added_tokens[0]: the id 2 of 'x' is that of 'ab'")]
    [InlineData("added_tokens", """[{"id":3,"content":"ab"}]""", "added_tokens[0]: 'ab' has the id 3 here and 2")]
    [InlineData("added_tokens", """[{"id":3,"content":"x"},{"id":3,"content":"y"}]""", "added_tokens[1]: the id 3 is there twice")]
    [InlineData("added_tokens", """[{"id":3,"content":"x"},{"id":4,"content":"x"}]""", "added_tokens[1]: the token 'x' is there twice")]
    [InlineData("added_tokens", """[{"id":3,"content":""}]""", "added_tokens[0].content: an empty string")]
    [InlineData("added_tokens", """[{"id":3000000000,"content":"x"}]""", "added_tokens[0].id: 3000000000 is no whole number")]
    public void RefusesComponents(string name, string component, string reason) =>
        Refused($$$"""{"{{{name}}}":{{{component}}},"model":{"type":"BPE",{{{Vocabulary}}},"merges":["a b"]}}""", reason);

    [Fact]
    public void RefusesDeepNesting()
    {
        var nested = new StringBuilder();
        for (var i = 0; i < 100_000; i++)
            nested.Append("""{"type":"Sequence","normalizers":[""");
        Refused($$$"""{"normalizer":{{{nested}}}""", "not valid JSON");
    }

    [Fact]
    public void RefusesAnOverlongToken() =>
        Refused($$$"""{"model":{"type":"BPE","vocab":{"{{{new string('x', 70_000)}}}":0},"merges":[]}}""", "a token of 70000 characters");

    [Fact]
    public void StopsAPatternThatBacktracksForever()
    {
        var file = Written.ByteLevel();
        file["pre_tokenizer"] = JsonNode.Parse("""{ "type": "Split", "pattern": { "Regex": "(a|aa)+b" }, "behavior": "Isolated" }""");
        var tokenizer = file.Load();
        Assert.Equal(3, tokenizer.Encode("aab").Ids.Length);
        var exception = Assert.Throws<TokenizerException>(() => tokenizer.Encode(new string('a', 5000) + "cb"));
        Assert.Contains("'(a|aa)+b' takes too long", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void StopsANormalizerThatGrowsTheText()
    {
        var file = Written.ByteLevel();
        var grow = """{ "type": "Replace", "pattern": { "String": "a" }, "content": "aaaaaaaa" }""";
        file["normalizer"] = JsonNode.Parse($$$"""{ "type": "Sequence", "normalizers": [{{{string.Join(',', Enumerable.Repeat(grow, 50))}}}] }""");
        var tokenizer = file.Load();
        Assert.Single(tokenizer.Encode("b").Ids);
        Assert.Contains("normalizer", Assert.Throws<TokenizerException>(() => tokenizer.Encode("a")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SaysWhatCannotBeEncoded()
    {
        var tokenizer = Written.Load($$$"""{"model":{"type":"BPE",{{{Vocabulary}}},"merges":[],"unk_token":"?"}}""");
        Assert.Equal([0, 1], tokenizer.Encode("ab").Ids.ToArray());
        Assert.Contains("'é'", Assert.Throws<TokenizerException>(() => tokenizer.Encode("aé")).Message, StringComparison.Ordinal);
    }

    private static void Refused(string json, string reason)
    {
        var message = Assert.Throws<TokenizerException>(() => Written.Load(json)).Message;
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.Contains("tokenizer.json: ", message, StringComparison.Ordinal);
    }
}
