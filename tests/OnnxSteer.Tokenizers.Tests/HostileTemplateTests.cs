using System.Diagnostics;
using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Templates that are broken, malicious or beyond what is supported: each is refused with its line and the reason, in bounded time.</summary>
public sealed class HostileTemplateTests
{
    [Theory]
    [InlineData("a\n{% extends 'x' %}", "line 2: the statement 'extends' is not supported")]
    [InlineData("{% include 'x' %}", "line 1: the statement 'include' is not supported")]
    [InlineData("a\nb\n{{ 1 | urlize }}", "line 3: the filter 'urlize' is not supported")]
    [InlineData("{{ 1 | nosuch }}", "no filter named 'nosuch'")]
    [InlineData("{% if true %}\n{{ 1 | nosuch }}{% endif %}", "line 2: no filter named 'nosuch'")]
    [InlineData("{{ 1 is nosuch }}", "no test named 'nosuch'")]
    [InlineData("{% nosuch %}", "unknown statement 'nosuch'")]
    [InlineData("{% if true %}\n\n", "line 2: unexpected end of template, expected 'endif'")]
    [InlineData("{% for x in y %}{% endif %}", "unknown statement 'endif'")]
    [InlineData("{{ 'a", "a string has no end")]
    [InlineData("{# a", "a comment has no end")]
    [InlineData("{% raw %}", "'raw' has no 'endraw'")]
    [InlineData("{{ a ] }}", "unexpected ']'")]
    [InlineData("{{ (1 }}", "unexpected '}'")]
    [InlineData("{{ 1 + }}", "unexpected end of print statement, expected an expression")]
    [InlineData("{% break %}", "'break' outside of a loop")]
    [InlineData("{% set 1 = 2 %}", "expected a name")]
    [InlineData("{% set none = 2 %}", "'none' cannot be assigned to")]
    [InlineData("{% set x.y = 2 %}", "only the attributes of a namespace")]
    [InlineData("{{ \"\\N{DASH}\" }}", "is not supported")]
    [InlineData("{{ ''.encode() }}", "the string method 'encode' is not supported")]
    [InlineData("{{ messages.append(1) }}", "access to attribute 'append' of 'list' object is unsafe")]
    [InlineData("{{ ''.__class__.__mro__ }}", "no attribute '__class__'")]
    [InlineData("{{ nope.x }}", "'nope' is undefined")]
    [InlineData("{{ messages[5].role }}", "has no element 5")]
    [InlineData("{{ none + 1 }}", "unsupported operands for +: None and int")]
    [InlineData("{{ [] | select | length }}", "generator has no length")]
    [InlineData("{{ {[]: 1} }}", "a list cannot be the key")]
    [InlineData("{% for a, b in [[1]] %}{% endfor %}", "1 values for 2 names")]
    [InlineData("{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "not more than 1 arguments")]
    [InlineData("{{ strftime_now('%Q') }}", "'%Q' is not supported")]
    [InlineData("{{ raise_exception('Stop: ' ~ messages[0].role) }}", "line 1: Stop: user")]
    public void NamesWhatIsWrong(string template, string reason) => Assert.Contains(reason, Refused(template), StringComparison.Ordinal);

    public static TheoryData<string, string> Endless => new()
    {
        { "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "steps" },
        { "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deep" },
        { "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{% set n = namespace(i=0) %}{% macro g(d) %}{% if d %}{{ g(d - 1) }}{{ g(d - 1) }}{% endif %}{% endmacro %}{{ g(40) }}", "steps" },
        { "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}", "deep" },
        { "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}", "characters" },
        { "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}", "characters" },
        { "{% set n = namespace(s=[1]) %}{% for i in range(99) %}{% set n.s = [n.s, n.s] %}{% endfor %}{{ n.s }}", "items" },
        { "{% set n = namespace(s=[1]) %}{% for i in range(999) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}", "nested" },
        { "{% set n = namespace(s=9) %}{% for i in range(99) %}{% set n.s = n.s * n.s %}{% endfor %}", "bits" },
        { "{{ 'x' * 9999999999 }}", "repetition" },
        { "{{ 9 ** 99999 }}", "bits" },
        { "{{ range(9999999) }}", "range" },
        { "{{ 'x' | center(2000000000) }}", "characters" },
        { "{{ '%2000000000d' % 1 }}", "characters" },
        { "{{ '{:2000000000}'.format(1) }}", "characters" },
        { "{{ ('x' * 3000000).replace('x', 'y' * 3000000) }}", "steps" },
        { "{{ ('y' * 3000000).join('x' * 3000000) }}", "" },
        { "{{ ('a' * 4000000).count('a' * 1000000 ~ 'b' ~ 'a' * 1000000) }}", "steps" },
        { "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}", "" },
        { $"{{{{ {new string('(', 10_000)}1{new string(')', 10_000)} }}}}", "deep" },
        { $"{{{{ {new string('[', 10_000)}{new string(']', 10_000)} }}}}", "deep" },
        { $"{{{{ {string.Concat(Enumerable.Repeat("not ", 10_000))}1 }}}}", "deep" },
        { $"{{{{ {new string('-', 10_000)}1 }}}}", "deep" },
        { $"{{{{ 1{string.Concat(Enumerable.Repeat(" + 1", 10_000))} }}}}", "deep" },
        { $"{{{{ 'a'{string.Concat(Enumerable.Repeat(" | upper", 10_000))} }}}}", "deep" },
        { $"{{{{ messages{string.Concat(Enumerable.Repeat(".x", 10_000))} }}}}", "deep" },
        { $"{{{{ 1{string.Concat(Enumerable.Repeat(" if 1 else 1", 10_000))} }}}}", "deep" },
        { string.Concat(Enumerable.Repeat("{% if 1 %}", 10_000)) + string.Concat(Enumerable.Repeat("{% endif %}", 10_000)), "deep" },
        { string.Concat(Enumerable.Repeat("{% for i in [1] %}", 10_000)) + string.Concat(Enumerable.Repeat("{% endfor %}", 10_000)), "deep" },
        { string.Concat(Enumerable.Repeat("{% set x %}", 10_000)) + string.Concat(Enumerable.Repeat("{% endset %}", 10_000)), "deep" },
    };

    [Theory]
    [MemberData(nameof(Endless))]
    public void EndsInTime(string template, string reason)
    {
        var watch = Stopwatch.StartNew();
        var before = GC.GetTotalAllocatedBytes();
        Assert.Contains(reason, Refused(template), StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 30);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 16L << 30);
    }

    [Fact]
    public void LimitsCanBeSet()
    {
        var messages = ChatTemplate.Messages();
        var template = ChatTemplate.Parse("{% for i in range(100) %}{{ i }}{% endfor %}");
        Assert.Equal(190, template.Render(messages).Text.Length);
        Assert.Throws<TokenizerException>(() => template.Render(messages, new ChatOptions { Limits = new TemplateLimits { Steps = 100 } }));
        Assert.Throws<TokenizerException>(() => template.Render(messages, new ChatOptions { Limits = new TemplateLimits { Characters = 100 } }));
        Assert.Throws<TokenizerException>(() => ChatTemplate.Parse("{{ ((1)) }}", limits: new TemplateLimits { Depth = 2 }));
        Assert.Throws<TokenizerException>(() => ChatTemplate.Parse("abc", limits: new TemplateLimits { Characters = 2 }));
    }

    // Templates out of pieces of templates: whatever they are, they render or are refused.
    [Fact]
    public void SurvivesAnything()
    {
        string[] pieces = ["{{", "}}", "{%", "%}", "{#", "#}", "-", "+", " ", "\n", "if", "for", "x", "in", "endif", "endfor", "set", "=", "macro", "endmacro", "'a'", "1", "2.5", "[", "]", "(", ")", "{", "}", ":", ",", ".",
            "|", "is", "not", "and", "or", "else", "elif", "loop", "range", "join", "upper", "defined", "messages", "role", "*", "**", "//", "%", "~", "<", "==", "call", "endcall", "caller", "raw", "endraw", "namespace", "none", "\\", "\"", "😀"];
        var random = new Random(1);
        var rendered = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var body = string.Join(random.Next(2) == 0 ? " " : "", Enumerable.Range(0, random.Next(1, 14)).Select(_ => pieces[random.Next(pieces.Length)]));
            var template = random.Next(3) switch { 0 => body, 1 => $"{{{{ {body} }}}}", _ => $"{{% {body} %}}{{% endif %}}" };
            try
            {
                ChatTemplate.Parse(template).Render(ChatTemplate.Messages(("user", "x")));
                rendered++;
            }
            catch (TokenizerException exception)
            {
                Assert.Contains("line ", exception.Message, StringComparison.Ordinal);
            }
        }
        Assert.InRange(rendered, 1000, 19_000);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[1]")]
    [InlineData("\"x\"")]
    public void RefusesWhatAreNoMessages(string json) =>
        Assert.Contains("list of objects", Assert.Throws<TokenizerException>(() => ChatTemplate.Parse("x").Render(JsonDocument.Parse(json).RootElement)).Message, StringComparison.Ordinal);

    [Fact]
    public void RefusesHalfACharacter() =>
        Assert.Throws<TokenizerException>(() => ChatTemplate.Parse("x").Render(JsonDocument.Parse("""[{"role": "user", "content": "\ud800"}]""").RootElement));

    private static string Refused(string template) =>
        Assert.Throws<TokenizerException>(() => ChatTemplate.Parse(template).Render(ChatTemplate.Messages(("user", "hello")))).Message;
}

/// <summary>Which template and special tokens a folder gives.</summary>
public sealed class ChatTemplateFileTests
{
    [Fact]
    public void FindsTheTemplate()
    {
        using var folder = new TemporaryFolder();
        var config = folder["tokenizer_config.json"];
        Assert.Contains("has a chat template", Refused(folder.Path), StringComparison.Ordinal);
        File.WriteAllText(config, """{"chat_template": "config {{ bos_token }}{{ eos_token }}{{ pad_token is defined }}", "bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null}""");
        Assert.Equal("config <s></s>False", Rendered(folder.Path));
        File.WriteAllText(folder["special_tokens_map.json"], """{"eos_token": {"content": "<end>", "lstrip": false}}""");
        Assert.Equal("config <s><end>False", Rendered(folder.Path));
        File.WriteAllText(config, """{"chat_template": [{"name": "default", "template": "d{{ eos_token }}"}, {"name": "tool_use", "template": "t"}], "added_tokens_decoder": {}, "eos_token": "</s>"}""");
        Assert.Equal("d</s>", Rendered(folder.Path));
        Assert.Equal("t", ChatTemplate.Load(folder.Path, withTools: true).Source);
        Assert.Equal("t", ChatTemplate.Load(folder.Path, named: "tool_use").Source);
        Assert.Contains("there are 'default', 'tool_use'", Assert.Throws<TokenizerException>(() => ChatTemplate.Load(folder.Path, named: "rag")).Message, StringComparison.Ordinal);
        File.WriteAllText(folder["chat_template.jinja"], "file");
        Assert.Equal("file", Rendered(folder.Path));
        Directory.CreateDirectory(folder["onnx"]);
        Assert.Equal("file", Rendered(folder["onnx"]));
        Directory.CreateDirectory(folder["additional_chat_templates"]);
        File.WriteAllText(folder["additional_chat_templates", "rag.jinja"], "rag");
        Assert.Equal("rag", ChatTemplate.Load(folder.Path, named: "rag").Source);
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "expected an object")]
    [InlineData("""{"chat_template": 7}""", "chat_template is Number")]
    [InlineData("""{"chat_template": [{"name": "default"}]}""", "chat_template is Array")]
    [InlineData("""{"chat_template": [{"name": "x", "template": "y"}]}""", "no chat template 'default'; there are 'x'")]
    [InlineData("""{"chat_template": "\ud800"}""", "tokenizer_config.json: ")]
    [InlineData("""{"chat_template": "a\n{{ b"}""", "tokenizer_config.json: chat_template, line 2: ")]
    public void RefusesBrokenFiles(string config, string reason)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["tokenizer_config.json"], config);
        Assert.Contains(reason, Refused(folder.Path), StringComparison.Ordinal);
    }

    private static string Rendered(string folder) => ChatTemplate.Load(folder).Render(ChatTemplate.Messages()).Text;

    private static string Refused(string folder) => Assert.Throws<TokenizerException>(() => Rendered(folder)).Message;
}
