using System.Text.Json;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>The template language by Jinja's and Python's documents.</summary>
public sealed class ChatTemplateTests
{
    private const string Input = """{"n": null, "s": "text", "l": [1, 2, 3], "d": {"a": 1, "items": "own", "b": [2.5, true]}, "f": 1.0, "big": 12345678901234567890}""";

    [Theory]
    [InlineData("{{ nope }}|{{ nope | default('x') }}|{{ s.nope }}|{{ d['nope'] }}|{{ n.nope is defined }}", "|x|||False")]
    [InlineData("{% if nope %}a{% else %}b{% endif %}{% for x in nope %}c{% else %}d{% endfor %}{{ nope is defined and nope.x }}", "bdFalse")]
    [InlineData("{{ nope == nada }} {{ nope == none }} {{ nope ~ 'x' }} {{ 'a' in nope }} {{ nope | length }} {{ nope | list }} {{ nope or 'y' }}", "True False x False 0 [] y")]
    [InlineData("{{ d.items is string }}{{ d['items'] }}{{ d.items() | list | length }}{{ d.pop is defined }}", "Falseown3False")]
    public void Undefined(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("  {% if true %}\n  a\n  {% endif %}\nb\n", "  a\nb")]
    [InlineData("  {%+ if true %}\n  a\n  {%- endif +%}\nb", "    a\nb")]
    [InlineData("a\n\n{{- 'b' -}}\n\nc\n\n", "abc\n")]
    [InlineData("a {# x #}\n b\n  {# y #}\nc", "a  b\nc")]
    [InlineData("{{ 'a' }}\n{{ 'b' }}\r\nc\rd", "a\nb\nc\nd")]
    [InlineData("x  {% raw -%}\n {{ a }} {%- endraw %}\ny", "x  {{ a }}y")]
    [InlineData("  {% set x = 1 %}  {% set y = 2 %}\n{{ x }}{{ y }}", "  12")]
    [InlineData("\n\n  {%- if true -%}  \n  a  \n  {%- endif -%}  \n", "a")]
    [InlineData("{ {% if true %}{ % }{% endif %}", "{ { % }")]
    [InlineData("{%- for i in [1, 2] -%} {{ i }} {%- endfor -%}", "12")]
    public void Blanks(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{{ 2 + 3 * 4 }} {{ (2 + 3) * 4 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 10 - 3 - 2 }}", "14 20 64 4 5")]
    [InlineData("{{ 7 // -2 }} {{ -7 // 2 }} {{ 7 % -3 }} {{ -7 % 3 }} {{ -7.5 % 2 }} {{ 7.5 // -2 }} {{ 6 / 3 }} {{ 2 ** -1 }}", "-4 -4 -2 2 0.5 -4.0 2.0 0.5")]
    [InlineData("{{ 'a' ~ 1 + 2 }}", null)]
    [InlineData("{{ 1 ~ 2 * 3 }} {{ not 1 == 2 }} {{ true or false and false }} {{ 1 if 0 else 2 if 0 else 3 }} {{ 1 < 3 < 2 }} {{ 1 in [1] == true }}", "16 True True 3 False False")]
    [InlineData("{{ -1 | abs }} {{ [1, 2] | length + 1 }} {{ 'a' if 'b' is string and 1 is not none }} {{ 3 is divisibleby 3 and not 4 is odd }}", "1 3 a True")]
    [InlineData("{{ true + true }} {{ 1 == true }} {{ 1.0 == 1 }} {{ {1: 'x'}[true] }} {{ 'ab' < 'b' }} {{ [1, 2] < [1, 3] }} {{ (1, 2) == [1, 2] }}", "2 True True x True True False")]
    [InlineData("{{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1e-7 }} {{ 123456789.0 }} {{ 1e22 }} {{ 1e23 }} {{ -0.0 }} {{ 5e-324 }} {{ big + 1 }}", "31 5 15 1000 1e-07 123456789.0 1e+22 1e+23 -0.0 5e-324 12345678901234567891")]
    [InlineData("{{ f }} {{ d }} {{ n }} {{ l[-1] }} {{ l[5] is defined }} {{ l[1:] }} {{ l[:-1] }} {{ l[::2] }} {{ l[::-1] }} {{ s[1:3] }} {{ s[-1] }} {{ s[::-2] }} {{ l[3:1] }}",
        "1.0 {'a': 1, 'items': 'own', 'b': [2.5, True]} None 3 False [2, 3] [1, 2] [1, 3] [3, 2, 1] ex t te []")]
    [InlineData("{{ l.0 }} {{ d.b.1 }} {{ (1,) }} {{ 1, 2 }} {{ () }} {{ [1, 2,] }} {{ {'a': 1,} }}", "1 True (1,) (1, 2) () [1, 2] {'a': 1}")]
    [InlineData("{{ 'x' * 3 }}{{ 2 * [0] }}{{ [1] + [2] }}{{ 'a' 'b' }}{{ '%s=%03d%%' % ('k', 7) }}{{ '%.2f' % 3.14159 }}{{ '%(a)s' % {'a': 1} }}", "xxx[0, 0][1, 2]abk=007%3.141")]
    public void Operators(string template, string? expected)
    {
        if (expected is null)
            Assert.Throws<TokenizerException>(() => Render(template));
        else
            Assert.Equal(expected, Render(template));
    }

    [Theory]
    [InlineData(@"{{ 'a\nb\t\\\'\x41\u00e9\U0001F600\q\101' }}", "a\nb\t\\'Aé😀\\qA")]
    [InlineData("{{ '{{ x }} %}' }}{{ \"it's\" }}{{ 'a\nb' }}", "{{ x }} %}it'sa\nb")]
    [InlineData("{{ '😀é'[0] }} {{ '😀é' | length }} {{ 'é😀' | reverse }} {{ '😀' | upper }} {{ 'straße' | upper }} {{ 'ΣΑΣ' | lower }} {{ 'a😀b'.find('b') }}", "😀 2 😀é 😀 STRASSE σας 2")]
    [InlineData("{{ ['\\u200b', '\\x07', '\\u00a0', 'é', '😀', '\\'\"'] }}", "['\\u200b', '\\x07', '\\xa0', 'é', '😀', '\\'\"']")]
    [InlineData("{{ naïve is defined }}{% set ключ = 1 %}{{ ключ }}", "False1")]
    public void Strings(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}", "2341")]
    [InlineData("{% set ns = namespace(a=1) %}{% for i in l %}{% if i == 2 %}{% set ns.a = i %}{% endif %}{% endfor %}{{ ns.a }}", "2")]
    [InlineData("{% for i in l recursive %}{{ i }}{% if i is iterable %}({{ loop(i) }}){% endif %}{% endfor %}", "123")]
    [InlineData("{% for i in [[1, [2]], 3] recursive %}{% if i is sequence %}<{{ loop(i) }}>{% else %}{{ i }}@{{ loop.depth }}{% endif %}{% endfor %}", "<1@2<2@3>>3@1")]
    [InlineData("{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}", "Truea1Falseb12Truea1")]
    [InlineData("{% for i in range(9) if i is odd %}{{ loop.index }}{{ i }}{% if i > 4 %}{% break %}{% endif %}{% else %}none{% endfor %}", "112335")]
    [InlineData("{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}{% set (a, b) = (4, 5) %}{{ a }}{{ b }}", "12345")]
    [InlineData("{% macro f(x) %}{% if x %}{{ x }}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}{{ f.name }}", "321f")]
    [InlineData("{% macro f(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(b=2, a=3) }}{{ f(*[4, 5]) }}{{ f(**{'a': 6}) }}{{ f() }}", "11324566")]
    [InlineData("{% macro f(x) %}[{{ caller(x) }}]{% endmacro %}{% call(y) f(1) %}{{ y }}!{% endcall %}", "[1!]")]
    [InlineData("{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "211")]
    [InlineData("{% filter upper | replace('A', 'b') %}a{{ s }}{% endfilter %}{% set t %}{{ l }}{% endset %}{{ t | length }}", "bTEXT9")]
    [InlineData("{% set j = joiner('-') %}{% for i in l %}{{ j() }}{{ i }}{% endfor %}{% set c = cycler('x', 'y') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}", "1-2-3xyyx")]
    [InlineData("{% if false %}{{ 1 | nosuch }}{% endif %}{{ 'a' if true else 1 | nosuch }}", "a")]
    public void Statements(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{{ [3, 1, 2] | sort(reverse=true) }}{{ ['b', 'A'] | sort }}{{ ['b', 'A'] | sort(case_sensitive=true) }}{{ [{'k': 2}, {'k': 1}] | sort(attribute='k') }}", "[3, 2, 1]['A', 'b']['A', 'b'][{'k': 1}, {'k': 2}]")]
    [InlineData("{{ [{'a': {'b': 1}}, {'a': {}}] | map(attribute='a.b', default=0) | list }}{{ ['a', 'b'] | map('upper') | join }}", "[1, 0]AB")]
    [InlineData("{{ [{'r': 'x'}, {'r': 'y'}, {}] | selectattr('r') | list | length }}{{ [{'r': 1}, {}] | selectattr('r', 'defined') | list }}{{ [1, 2, 3] | reject('odd') | list }}{{ l | select('>', 1) | list }}", "2[{'r': 1}][2][2, 3]")]
    [InlineData("{% if [] | select %}generator{% endif %}{{ [] | first is defined }}{{ l | last }}{{ 'abc' | first }}", "generatorFalse3a")]
    [InlineData("{{ 2.5 | round }} {{ 42.55 | round(1, 'floor') }} {{ 2.345 | round(2) }} {{ 5 | round }} {{ '12.9' | int }} {{ '0x1f' | int(0, 16) }} {{ 'a' | float }} {{ 3.99 | int }} {{ 0.125 | round(2) }} {{ '%.1f %.0f %.3f %g %e' % (0.25, 1.5, 1e22, 1e-5, 12345.678) }} {{ -0.5 | round }}", "2.0 42.5 2.35 5 12 31 0.0 3 0.12 0.2 2 10000000000000000000000.000 1e-05 1.234568e+04 -0.0")]
    [InlineData("{{ 'foo bar baz' | truncate(9, leeway=0) }} {{ 'foo bar baz' | truncate(9, true, leeway=0) }} {{ 'a-b c' | title }} {{ \"it's\".title() }} {{ 'x' | center(4) }}|", "foo... foo ba... A-B C It'S  x  |")]
    [InlineData("{{ l | batch(2, 0) | list }}{{ l | slice(2) | list }}{{ l | sum }}{{ [[1], [2]] | sum(start=[]) }}{{ [{'p': 1}] | sum(attribute='p') }}{{ l | max }}{{ ['b', 'A'] | min }}", "[[1, 2], [3, 0]][[1, 2], [3]]6[1, 2]13A")]
    [InlineData("{% for g in [{'t': 'b', 'v': 1}, {'t': 'a', 'v': 2}, {'t': 'b', 'v': 3}] | groupby('t') %}{{ g.grouper }}{{ g.list | map(attribute='v') | list }}{% endfor %}", "a[2]b[1, 3]")]
    [InlineData("{{ d | tojson }}{{ 'é<\\u007f' | tojson }}{{ 'é😀' | tojson(ensure_ascii=true) }}{{ [] | tojson(indent=2) }}{{ {'a': []} | tojson(indent=1) }}", "{\"a\": 1, \"items\": \"own\", \"b\": [2.5, true]}\"é<\u007f\"\"\\u00e9\\ud83d\\ude00\"[]{\n \"a\": []\n}")]
    [InlineData("{{ 'a b/ü' | urlencode }} {{ {'q': 'a b'} | urlencode }} {{ '<a href=\"x\">' | e }} {{ [1, '1', 1.0, 'A', 'a'] | unique | list }} {{ {'b': 1, 'A': 2} | dictsort(reverse=true) }}", "a%20b/%C3%BC q=a%20b &lt;a href=&#34;x&#34;&gt; [1, '1', 'A'] [('b', 1), ('A', 2)]")]
    [InlineData("{{ ' a ' | trim }}{{ 'xay' | trim('xy') }}{{ 'a\n\nb' | indent }}{{ none | default('z', true) }}{{ 'aaa' | replace('a', 'b', 2) }}{{ s | attr('upper') is callable }}", "aaa\n\n    bzbbaTrue")]
    public void Filters(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("{{ 'a,b,,c'.split(',') }}{{ ' a b '.split(maxsplit=1) }}{{ 'a b c'.rsplit(none, 1) }}{{ ''.split() }}{{ ''.split('x') }}", "['a', 'b', '', 'c']['a', 'b ']['a b', 'c'][]['']")]
    [InlineData("{{ 'a\nb\r\n'.splitlines() }}{{ 'a.b.c'.rpartition('.') }}{{ 'abcabc'.rfind('b') }}{{ 'aXbX'.strip('X') }}{{ 'abc'.startswith('b', 1) }}{{ 'Ab'.swapcase() }}", "['a', 'b']('a.b', '.', 'c')4aXbTrueaB")]
    [InlineData("{{ '{0}-{x}-{{}}'.format(1, x='y') }}{{ '{:>5}|{:<4}|{:^5}|{:05d}|{:,}|{:.2f}|{!r}'.format('a', 'b', 'c', 42, 1234567, 2.5, 'q') }}", "1-y-{}    a|b   |  c  |00042|1,234,567|2.50|'q'")]
    [InlineData("{{ '-5'.zfill(4) }}{{ 'x'.ljust(3, '.') }}{{ 'x'.rjust(3) }}{{ ' '.isspace() }}{{ ''.isdigit() }}{{ 'a1'.isalnum() }}{{ ', '.join(d) }}{{ d.get('zz', 1) }}", "-005x..  xTrueFalseTruea, items, b1")]
    [InlineData("{{ d.keys() }}{{ d.values() | list }}{{ range(3) }}{{ range(1, 7, 2) | list }}{{ l.index(2) }}{{ dict([('a', 1)], b=2) }}", "dict_keys(['a', 'items', 'b'])[1, 'own', [2.5, True]]range(0, 3)[1, 3, 5]1{'a': 1, 'b': 2}")]
    public void Methods(string template, string expected) => Assert.Equal(expected, Render(template));

    [Fact]
    public void TellsTheTimeOfItsClock()
    {
        var options = new ChatOptions { Clock = new StoppedClock(new DateTimeOffset(2025, 1, 5, 14, 3, 9, TimeSpan.Zero)) };
        Assert.Equal("Sun 05 Jan 2025 5| 5 02 PM 005 25 00 01 01/05/25", ChatTemplate.Parse("{{ strftime_now('%a %d %b %Y %-d|%e %I %p %j %y %W %U %D') }}").Render(ChatTemplate.Messages(), options).Text);
    }

    [Fact]
    public void GoesOnWithTheLastMessage()
    {
        var template = ChatTemplate.Parse("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}");
        string Continued(params (string, string)[] messages) => template.Render(ChatTemplate.Messages(messages), new ChatOptions { ContinueFinalMessage = true }).Text;
        Assert.Equal("<user>a<end><assistant>a b", Continued(("user", "a"), ("assistant", " a b ")));
        Assert.Equal("<user>a<end><assistant>a", Continued(("user", "a"), ("assistant", "a")));
        var keeping = ChatTemplate.Parse("{% for m in messages %}<{{ m.content }}>{% endfor %}");
        Assert.Equal("< b ", keeping.Render(ChatTemplate.Messages(("assistant", " b ")), new ChatOptions { ContinueFinalMessage = true }).Text);
        Assert.Contains("does not stand", Refused("x", new ChatOptions { ContinueFinalMessage = true }), StringComparison.Ordinal);
        Assert.Contains("not both", Refused("x", new ChatOptions { ContinueFinalMessage = true, AddGenerationPrompt = true }), StringComparison.Ordinal);
    }

    [Fact]
    public void ConversationsAndVariablesComeFirst()
    {
        var specials = JsonDocument.Parse("""{"bos_token": "<s>", "x": 1}""").RootElement;
        var options = new ChatOptions { Variables = JsonDocument.Parse("""{"x": 2, "add_generation_prompt": 5}""").RootElement };
        Assert.Equal("<s>25 None True", ChatTemplate.Parse("{{ bos_token }}{{ x }}{{ add_generation_prompt }} {{ tools }} {{ documents is none }}", specials).Render(ChatTemplate.Messages(), options).Text);
    }

    private static string Refused(string template, ChatOptions options) =>
        Assert.Throws<TokenizerException>(() => ChatTemplate.Parse(template).Render(ChatTemplate.Messages(("user", "hello")), options)).Message;

    private static string Render(string template) =>
        ChatTemplate.Parse(template).Render(ChatTemplate.Messages(("user", "hello")), new ChatOptions { Variables = JsonDocument.Parse(Input).RootElement }).Text;
}
