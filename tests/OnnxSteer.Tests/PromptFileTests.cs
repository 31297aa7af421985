using System.Text;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public sealed class PromptFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("one\n  two \n\n \t\nthree")]
    [InlineData("one\r\n  two \r\n\r\n \t\r\nthree\r\n")]
    [InlineData("\ufeffone\n  two \n\n\nthree\n")]
    public void Text_is_one_prompt_a_line_with_its_spaces(string content)
    {
        var prompts = Read("p.txt", content);
        Assert.Equal(["one", "  two ", "three"], prompts.Select(p => p.Text));
        Assert.Equal([1, 2, 5], prompts.Select(p => p.Line));
        Assert.All(prompts, p => Assert.Null(p.Ids));
        Assert.Equal(PromptSet.Of("one", "  two ", "three").Digest, prompts.Digest);
    }

    [Fact]
    public void Json_lines_hold_text_or_ids()
    {
        var prompts = Read("p.jsonl", "\ufeff{\"text\":\"h\\u00e9llo\\nyou\",\"prompt\":\"left alone\"}\r\n\r\n{\"ids\":[1,0,2147483647]}\n{\"text\":\"both\",\"ids\":[7]}");
        Assert.Equal(["héllo\nyou", null, "both"], prompts.Select(p => p.Text));
        Assert.Equal([1, 0, int.MaxValue], prompts[1].Ids!.Value.AsEnumerable());
        Assert.Equal([7], prompts[2].Ids!.Value.AsEnumerable());
        Assert.Equal([1, 3, 4], prompts.Select(p => p.Line));
        Assert.Equal("left alone", Read("p.jsonl", "{\"text\":\"t\",\"prompt\":\"left alone\"}", "prompt")[0].Text);
    }

    [Fact]
    public void Json_lines_may_hold_conversations()
    {
        var prompts = Read("p.jsonl", "{\"messages\": [ {\"role\":\"user\", \"content\": \"hi\"} ]}\n{\"text\":\"t\",\"messages\":[]}");
        Assert.Equal("""[{"role":"user","content":"hi"}]""", prompts[0].Messages);
        Assert.Equal((null, null), (prompts[0].Text, prompts[1].Messages));
        Assert.NotEqual(prompts.Digest, new PromptSet([prompts[0] with { Messages = "[]" }, prompts[1]]).Digest);
        foreach (var bad in new[] { "[]", "{}", "[1]", "\"x\"" })
            Assert.Contains("'messages' is no list of messages", Assert.Throws<OnnxException>(() => Read("p.jsonl", $"{{\"messages\": {bad}}}")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Csv_fields_may_hold_commas_quotes_and_line_ends()
    {
        var prompts = Read("p.csv", "id,text\r\n1,plain\r\n2,\"a, \"\"b\"\"\nc\"\r\n\r\n3,\" x \"\r\n");
        Assert.Equal(["plain", "a, \"b\"\nc", " x "], prompts.Select(p => p.Text));
        Assert.Equal([2, 3, 6], prompts.Select(p => p.Line));
        Assert.Equal(["1"], Read("p.csv", "id,text\n1,plain", "id").Select(p => p.Text));
    }

    [Fact]
    public void The_digest_is_of_the_prompts_not_of_the_file()
    {
        var digest = Read("p.txt", "a\nb").Digest;
        Assert.Matches("^[0-9a-f]{64}$", digest);
        Assert.Equal(digest, Read("p.jsonl", "{\"text\":\"a\"}\r\n\r\n{\"text\":\"b\"}").Digest);
        Assert.Equal(digest, Read("p.csv", "n,text\n1,a\n2,b\n").Digest);
        Assert.NotEqual(digest, Read("p.txt", "b\na").Digest);
        Assert.NotEqual(digest, PromptSet.Of("ab", "").Digest);
        Assert.NotEqual(new PromptSet([new Prompt("", [1])]).Digest, new PromptSet([new Prompt(null, [1])]).Digest);
        Assert.NotEqual(Read("p.jsonl", "{\"ids\":[1]}\n{\"ids\":[2]}").Digest, Read("p.jsonl", "{\"ids\":[1,2]}").Digest);
        Assert.NotEqual(Read("p.jsonl", "{\"text\":\"a\"}").Digest, Read("p.jsonl", "{\"text\":\"a\",\"ids\":[2]}").Digest);
    }

    [Fact]
    public void Prompts_are_equal_by_what_they_hold()
    {
        Assert.Equal(new Prompt("a", [1, 2], 3), new Prompt("a", [1, 2], 3));
        Assert.NotEqual(new Prompt("a", [1, 2]), new Prompt("a", [1, 3]));
        Assert.NotEqual(new Prompt("a", []), new Prompt("a"));
        Assert.NotEqual(new Prompt("a"), new Prompt("b"));
        Assert.NotEqual(new Prompt("a", Line: 1), new Prompt("a", Line: 2));
    }

    [Theory]
    [InlineData("p.txt", "", "no prompts")]
    [InlineData("p.txt", "\ufeff \n\t\n", "no prompts")]
    [InlineData("p.txt", "a\nb\0c", "line 2")]
    [InlineData("p.jsonl", "\n", "no prompts")]
    [InlineData("p.jsonl", "{\"text\":\"a\"}\n{\"text\":", "Line 2")]
    [InlineData("p.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\"} {}", "Line 2")]
    [InlineData("p.jsonl", "{\"text\":\"a\",\"text\":\"b\"}", "Line 1")]
    [InlineData("p.jsonl", "{\"text\":\"\\ud800\"}", "Line 1")]
    [InlineData("p.jsonl", "[\"a\"]", "Array")]
    [InlineData("p.jsonl", "{\"prompt\":\"a\",\"n\":1}", "'prompt', 'n'")]
    [InlineData("p.jsonl", "{}", "none")]
    [InlineData("p.jsonl", "{\"text\":1}", "Number")]
    [InlineData("p.jsonl", "{\"text\":null,\"ids\":[1]}", "Null")]
    [InlineData("p.jsonl", "{\"text\":\"\"}", "empty")]
    [InlineData("p.jsonl", "{\"ids\":[]}", "empty")]
    [InlineData("p.jsonl", "{\"ids\":\"1\"}", "String")]
    [InlineData("p.jsonl", "{\"ids\":[1,-1]}", "-1")]
    [InlineData("p.jsonl", "{\"ids\":[2147483648]}", "2147483648")]
    [InlineData("p.jsonl", "{\"ids\":[1.5]}", "1.5")]
    [InlineData("p.csv", "", "no prompts")]
    [InlineData("p.csv", "text\n", "no prompts")]
    [InlineData("p.csv", "id,prompt\n1,a", "'id', 'prompt'")]
    [InlineData("p.csv", "text,text\na,b", "two columns")]
    [InlineData("p.csv", "id,text\n1,a\n2,b,c", "Line 3")]
    [InlineData("p.csv", "id,text\n1,a\n2", "Line 3")]
    [InlineData("p.csv", "id,text\n1,a\n2,", "Line 3")]
    [InlineData("p.csv", "id,text\n1,\"a\nb\"\n2,\"open\n3,c\n", "Line 4")]
    [InlineData("p.csv", "id,text\n1,\"a\" b\n", "Line 2")]
    [InlineData("p.csv", "id,text\n1,say \"a\"\n", "Line 2")]
    [InlineData("p.json", "[]", "'.json'")]
    [InlineData("prompts", "a", "expected prompts as .txt")]
    public void Faults_are_refused_with_their_place(string name, string content, string said)
    {
        var error = Assert.Throws<OnnxException>(() => Read(name, content));
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_encodings_are_refused_by_name()
    {
        File.WriteAllText(folder["p.txt"], "a", Encoding.Unicode);
        Assert.Contains("UTF-16", Assert.Throws<OnnxException>(() => PromptFile.Read(folder["p.txt"])).Message, StringComparison.Ordinal);
        File.WriteAllText(folder["p.txt"], "fine\ncaf\xe9\n", Encoding.Latin1);
        var error = Assert.Throws<OnnxException>(() => PromptFile.Read(folder["p.txt"]));
        Assert.Contains("byte 0xe9 in line 2", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_that_cannot_be_read_are_refused()
    {
        Assert.Throws<OnnxException>(() => PromptFile.Read(folder["absent.txt"]));
        Directory.CreateDirectory(folder["folder.txt"]);
        Assert.Contains("folder", Assert.Throws<OnnxException>(() => PromptFile.Read(folder["folder.txt"])).Message, StringComparison.Ordinal);
        Assert.Contains("'text'", Assert.Throws<OnnxException>(() => Read("p.txt", "a", "text")).Message, StringComparison.Ordinal);
        using (var sparse = File.Create(folder["large.txt"]))
            sparse.SetLength(PromptFile.MaximumLength + 1);
        Assert.Contains("268435457", Assert.Throws<OnnxException>(() => PromptFile.Read(folder["large.txt"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("p.txt", "one\r\ntwo\n")]
    [InlineData("p.jsonl", "{\"text\":\"one\",\"ids\":[1,2]}\n{\"ids\":[3]}\n")]
    [InlineData("p.csv", "id,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n2,d\r\n")]
    public void Mutated_files_give_prompts_or_clear_errors(string name, string content)
    {
        var original = Encoding.UTF8.GetBytes(content);
        var random = new Random(11);
        var (read, refused) = (0, 0);
        for (var round = 0; round < 1000; round++)
        {
            var bytes = original.ToList();
            for (var edits = random.Next(1, 5); edits > 0; edits--)
                bytes[random.Next(bytes.Count)] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)"{}[]\",:\n\r 1\\"[random.Next(12)];
            File.WriteAllBytes(folder[name], [.. bytes]);
            try
            {
                Assert.NotEmpty(PromptFile.Read(folder[name]));
                read++;
            }
            catch (OnnxException)
            {
                refused++;
            }
        }
        Assert.True(read > 20 && refused > 20, $"{read} read, {refused} refused");
    }

    private PromptSet Read(string name, string content, string? column = null)
    {
        File.WriteAllText(folder[name], content);
        return PromptFile.Read(folder[name], column);
    }
}
