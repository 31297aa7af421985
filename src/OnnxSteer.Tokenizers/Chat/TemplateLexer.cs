using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace OnnxSteer.Tokenizers;

internal enum TemplateTokenKind
{
    Text,
    OutputBegin,
    OutputEnd,
    StatementBegin,
    StatementEnd,
    Name,
    String,
    Number,
    Operator,
    End,
}

/// <summary>A token: its text, and its value where it is a literal.</summary>
internal readonly record struct TemplateToken(TemplateTokenKind Kind, string Text, object? Value, int Line)
{
    public bool Is(string text) => Kind is (TemplateTokenKind.Operator or TemplateTokenKind.Name) && Text == text;

    public string Shown => Kind switch
    {
        TemplateTokenKind.Text => "text",
        TemplateTokenKind.OutputEnd => "end of print statement",
        TemplateTokenKind.StatementEnd => "end of statement block",
        TemplateTokenKind.End => "end of template",
        _ => $"'{(Text.Length <= 40 ? Text : Text[..40] + "…")}'",
    };
}

/// <summary>
/// Cuts a template into tokens as Jinja does with <c>trim_blocks</c> and <c>lstrip_blocks</c>: a line break right behind a
/// statement or comment goes, and so do blanks between the beginning of a line and a statement or comment.
/// </summary>
internal sealed partial class TemplateLexer
{
    private static readonly string[] Operators = ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    private readonly string source;
    private readonly List<TemplateToken> tokens = [];
    private int at;
    private int line = 1;
    private int counted;
    private bool startsLine = true;

    private TemplateLexer(string source) => this.source = source;

    /// <summary>The tokens of a template; the last one is its end.</summary>
    public static List<TemplateToken> Read(string template)
    {
        var source = template.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        var lexer = new TemplateLexer(source.EndsWith('\n') ? source[..^1] : source);
        lexer.ReadAll();
        return lexer.tokens;
    }

    private void ReadAll()
    {
        while (at < source.Length)
        {
            var begin = at;
            do
                begin = source.IndexOf('{', begin) is var found && found < 0 ? source.Length : found + 1;
            while (begin < source.Length && source[begin] is not ('{' or '%' or '#'));
            if (begin >= source.Length)
            {
                AddText(source[at..]);
                at = source.Length;
                break;
            }
            var kind = source[begin];
            var sign = begin + 1 < source.Length && source[begin + 1] is '-' or '+' ? source[begin + 1] : '\0';
            AddText(Stripped(source[at..(begin - 1)], sign, isStatement: kind != '{'));
            Move(begin + 1);
            if (kind == '%' && RawBegin().Match(source, at) is { Success: true } raw)
                ReadRaw(raw);
            else if (kind == '#')
                ReadComment();
            else
                ReadTag(kind == '{', begin - 1, sign);
        }
        tokens.Add(new TemplateToken(TemplateTokenKind.End, "", null, LineAt(source.Length)));
    }

    private string Stripped(string text, char sign, bool isStatement)
    {
        if (sign == '-')
            return text[..PythonStrings.EndOf(text)];
        var start = text.LastIndexOf('\n') + 1;
        return isStatement && sign != '+' && (start > 0 || startsLine) && PythonStrings.EndOf(text) <= start ? text[..start] : text;
    }

    private void ReadRaw(Match begin)
    {
        Move(begin.Index + begin.Length);
        var end = RawEnd().Match(source, at);
        if (!end.Success)
            throw Error("'raw' has no 'endraw'");
        var sign = end.Groups[1].Value;
        AddText(Stripped(source[at..end.Index], sign.Length > 0 ? sign[0] : '\0', isStatement: true));
        Move(end.Index + end.Length);
    }

    private void ReadComment()
    {
        var end = source.IndexOf("#}", at, StringComparison.Ordinal);
        if (end < 0)
            throw Error("a comment has no end");
        var sign = end > at ? source[end - 1] : '\0';
        Move(end + 2);
        End(sign, isStatement: true);
    }

    // Behind what ends a tag: '-' takes all blanks, a statement takes one line break unless there is '+'.
    private void End(char sign, bool isStatement)
    {
        var next = at;
        if (sign == '-')
            while (next < source.Length && PythonStrings.IsSpace(source[next]))
                next++;
        else if (isStatement && sign != '+' && next < source.Length && source[next] == '\n')
            next++;
        Move(next);
    }

    private void ReadTag(bool isOutput, int begin, char sign)
    {
        tokens.Add(new TemplateToken(isOutput ? TemplateTokenKind.OutputBegin : TemplateTokenKind.StatementBegin, "", null, LineAt(begin)));
        var end = isOutput ? "}}" : "%}";
        var open = new Stack<char>();
        at += sign == '\0' ? 0 : 1;
        while (true)
        {
            while (at < source.Length && PythonStrings.IsSpace(source[at]))
                at++;
            if (at >= source.Length)
            {
                tokens.Add(new TemplateToken(TemplateTokenKind.End, "", null, LineAt(at)));
                return;
            }
            var first = source[at];
            var before = first == '-' || first == '+' && !isOutput ? 1 : 0;
            if (open.Count == 0 && string.CompareOrdinal(source, at + before, end, 0, 2) == 0)
            {
                tokens.Add(new TemplateToken(isOutput ? TemplateTokenKind.OutputEnd : TemplateTokenKind.StatementEnd, "", null, LineAt(at)));
                Move(at + before + 2);
                End(before == 0 ? '\0' : first, !isOutput);
                return;
            }
            if (first is '\'' or '"')
                ReadString(first);
            else if (char.IsAsciiDigit(first))
                ReadNumber();
            else if (IsNamePart(first))
                ReadName();
            else
                ReadOperator(open);
        }
    }

    private void ReadName()
    {
        var start = at;
        while (at < source.Length && IsNamePart(source[at]))
            at++;
        Add(TemplateTokenKind.Name, start, null);
    }

    private void ReadNumber()
    {
        var start = at;
        var previous = start > 0 ? source[start - 1] : '\0';
        if (previous != '.' && Float().Match(source, at) is { Success: true } real)
        {
            at += real.Length;
            Add(TemplateTokenKind.Number, start, double.Parse(real.Value.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture));
            return;
        }
        var match = Integer().Match(source, at);
        at += match.Length;
        var digits = match.Value.Replace("_", "", StringComparison.Ordinal);
        if (digits.Length > 4300)
            throw Error($"a number of {digits.Length} digits");
        Add(TemplateTokenKind.Number, start, digits.Length < 2 || char.IsAsciiDigit(digits[1]) ? BigInteger.Parse(digits, CultureInfo.InvariantCulture) : digits[1] switch
        {
            'x' or 'X' => BigInteger.Parse("0" + digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
            var radix => digits.Skip(2).Aggregate(BigInteger.Zero, (number, digit) => number * (radix is 'o' or 'O' ? 8 : 2) + (digit - '0')),
        });
    }

    private void ReadOperator(Stack<char> open)
    {
        var start = at;
        var text = Operators.FirstOrDefault(text => string.CompareOrdinal(source, start, text, 0, text.Length) == 0) ?? throw Error($"unexpected '{source[at]}'");
        if (text is "(" or "[" or "{")
            open.Push(text[0] switch { '(' => ')', '[' => ']', _ => '}' });
        else if (text is ")" or "]" or "}" && (!open.TryPop(out var expected) || expected != text[0]))
            throw Error($"unexpected '{text}'");
        at += text.Length;
        Add(TemplateTokenKind.Operator, start, null);
    }

    private void ReadString(char quote)
    {
        var start = at++;
        var text = new StringBuilder();
        while (true)
        {
            if (at >= source.Length)
                throw new TemplateError("a string has no end", LineAt(start));
            var unit = source[at++];
            if (unit == quote)
                break;
            if (unit == '\\' && at < source.Length)
                ReadEscape(text);
            else
                text.Append(unit);
        }
        tokens.Add(new TemplateToken(TemplateTokenKind.String, source[start..at], text.ToString(), LineAt(start)));
    }

    // Python's escapes; of an unknown one the backslash stays.
    private void ReadEscape(StringBuilder text)
    {
        var unit = source[at++];
        switch (unit)
        {
            case '\n':
                break;
            case '\\' or '\'' or '"':
                text.Append(unit);
                break;
            case 'x' or 'u' or 'U':
                var length = unit switch { 'x' => 2, 'u' => 4, _ => 8 };
                if (at + length > source.Length || !int.TryParse(source.AsSpan(at, length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code) || code is < 0 or > 0x10ffff)
                    throw Error($"\\{unit} without the {length} hexadecimal digits of a character");
                at += length;
                text.Append(code < 0x10000 ? ((char)code).ToString() : char.ConvertFromUtf32(code));
                break;
            case >= '0' and <= '7':
                var value = unit - '0';
                for (var i = 0; i < 2 && at < source.Length && source[at] is >= '0' and <= '7'; i++)
                    value = value * 8 + (source[at++] - '0');
                text.Append((char)value);
                break;
            case 'N':
                throw Error("\\N{…} in a string is not supported; write the character itself");
            default:
                var known = "abfnrtv".IndexOf(unit, StringComparison.Ordinal);
                _ = known >= 0 ? text.Append("\a\b\f\n\r\t\v"[known]) : text.Append('\\').Append(unit);
                break;
        }
    }

    private static bool IsNamePart(char unit) => unit == '_' || char.IsLetterOrDigit(unit);

    private void Add(TemplateTokenKind kind, int start, object? value) => tokens.Add(new TemplateToken(kind, source[start..at], value, LineAt(start)));

    private void AddText(string text)
    {
        if (text.Length > 0)
            tokens.Add(new TemplateToken(TemplateTokenKind.Text, text, null, LineAt(at)));
    }

    private void Move(int to)
    {
        at = to;
        startsLine = to > 0 && source[to - 1] == '\n';
    }

    // Places come in ascending order, save within one tag.
    private int LineAt(int place)
    {
        for (; counted < place; counted++)
            line += source[counted] == '\n' ? 1 : 0;
        return line;
    }

    private TemplateError Error(string what) => new(what, LineAt(at));

    [GeneratedRegex(@"\G[-+]?\s*raw\s*(?:-%\}\s*|%\})", RegexOptions.CultureInvariant)]
    private static partial Regex RawBegin();

    [GeneratedRegex(@"\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)", RegexOptions.CultureInvariant)]
    private static partial Regex RawEnd();

    [GeneratedRegex(@"\G(?:[0-9]+_)*[0-9]+(?:(?:\.(?:[0-9]+_)*[0-9]+)?[eE][-+]?(?:[0-9]+_)*[0-9]+|\.(?:[0-9]+_)*[0-9]+)", RegexOptions.CultureInvariant)]
    private static partial Regex Float();

    [GeneratedRegex(@"\G(?:0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?[0-9])*|0(?:_?0)*)", RegexOptions.CultureInvariant)]
    private static partial Regex Integer();
}
