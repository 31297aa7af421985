using System.Globalization;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// Turns a regular expression of a tokenizer file (Oniguruma, Ruby syntax) into one of .NET that matches the same strings.
/// The two differ in so many constructs that only those known to mean the same are let through; any other is an error.
/// </summary>
internal sealed class OnigurumaTranslator
{
    private const int MaximumLength = 16384;
    private const int MaximumDepth = 64;
    private const int MaximumRepeats = 1000;

    private static readonly HashSet<string> Categories =
    [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp",
    ];

    // Under (?i) Oniguruma lets one character stand for several: ß for ss, ﬁ for fi.
    private static readonly HashSet<string> FoldedPairs = ["ss", "st", "ff", "fi", "fl"];

    private readonly string source;
    private readonly StringBuilder target = new();
    private readonly List<(char First, char Last)> literals = [];
    private int position;
    private bool ignoreCase;
    private char previousFolded;

    private OnigurumaTranslator(string source) => this.source = source;

    /// <summary>The same pattern for .NET, and the characters that it names.</summary>
    public static (string Pattern, IReadOnlyList<(char First, char Last)> Literals) Translate(string source)
    {
        if (source.Length is 0 or > MaximumLength)
            throw new TokenizerException($"A regular expression of {source.Length} characters; 1 to {MaximumLength} are taken.");
        var translator = new OnigurumaTranslator(source);
        translator.Alternatives(depth: 0);
        if (translator.position < source.Length)
            throw translator.Unsupported("an unmatched )");
        return (translator.target.ToString(), translator.literals);
    }

    private bool AtEnd => position >= source.Length;

    private bool Take(string text)
    {
        if (string.CompareOrdinal(source, position, text, 0, text.Length) != 0)
            return false;
        position += text.Length;
        return true;
    }

    private void Alternatives(int depth)
    {
        if (depth > MaximumDepth)
            throw Unsupported($"more than {MaximumDepth} nested groups");
        previousFolded = '\0';
        while (!AtEnd && source[position] != ')')
        {
            if (Take("|"))
            {
                target.Append('|');
                previousFolded = '\0';
                continue;
            }
            var start = target.Length;
            var isAssertion = Atom(depth);
            Quantifier(start, isAssertion);
        }
    }

    /// <summary>One atom; true if it is an assertion, which cannot be repeated.</summary>
    private bool Atom(int depth)
    {
        if (Take("("))
            return Group(depth);
        if (source[position] is '*' or '+' or '?' or '{' or '^' or '$')
            throw Unsupported($"'{source[position]}' here");
        if (Take("["))
        {
            previousFolded = '\0';
            BracketClass();
        }
        else if (Take("."))
        {
            previousFolded = '\0';
            target.Append('.');
        }
        else if (Class() is { } characters)
        {
            previousFolded = '\0';
            target.Append(characters);
        }
        else
        {
            var literal = Character();
            literals.Add((literal, literal));
            if (ignoreCase && char.IsAsciiLetter(literal))
                target.Append('[').Append(Folded(literal, literal)).Append(']');
            else
                target.Append(Escaped(literal));
            var folded = ignoreCase && char.IsAsciiLetter(literal) ? char.ToLowerInvariant(literal) : '\0';
            if (FoldedPairs.Contains($"{previousFolded}{folded}"))
                throw Unsupported($"'{previousFolded}{folded}' under (?i)");
            previousFolded = folded;
        }
        return false;
    }

    private bool Group(int depth)
    {
        if (previousFolded != '\0')
            throw Unsupported("a group after a letter under (?i)");
        var outer = ignoreCase;
        string opening;
        if (Take("?:"))
            opening = "(?:";
        else if (Take("?i:"))
            (opening, ignoreCase) = ("(?:", true);
        else if (Take("?-i:"))
            (opening, ignoreCase) = ("(?:", false);
        else if (Take("?="))
            opening = "(?=";
        else if (Take("?!"))
            opening = "(?!";
        else if (Take("?<="))
            opening = "(?<=";
        else if (Take("?<!"))
            opening = "(?<!";
        else if (Take("?>"))
            opening = "(?>";
        else if (!AtEnd && source[position] == '?')
            throw Unsupported($"'({source.Substring(position, Math.Min(3, source.Length - position))}…'");
        else
            opening = "(?:";
        target.Append(opening);
        Alternatives(depth + 1);
        if (!Take(")"))
            throw Unsupported("a group without end");
        target.Append(')');
        ignoreCase = outer;

        previousFolded = '\0';
        if (ignoreCase && !AtEnd && char.IsAsciiLetter(source[position]))
            throw Unsupported("a letter after a group under (?i)");
        return opening is "(?=" or "(?!" or "(?<=" or "(?<!";
    }

    private void Quantifier(int start, bool isAssertion)
    {
        if (AtEnd)
            return;
        var isInterval = false;
        string quantifier;
        if (source[position] is '*' or '+' or '?')
            quantifier = source[position++].ToString();
        else if (source[position] == '{')
            (quantifier, isInterval) = (Interval(), true);
        else
            return;
        if (isAssertion)
            throw Unsupported("a repeated assertion");
        target.Append(quantifier);
        if (!isInterval && Take("?"))
            target.Append('?');
        else if (!isInterval && Take("+"))
            target.Insert(start, "(?>").Append(')');
        else if (isInterval && Take("+"))
            target.Insert(start, "(?:").Append(")+"); // After an interval + repeats; it does not make it possessive.
        if (!AtEnd && source[position] is '*' or '+' or '?' or '{')
            throw Unsupported("a quantifier after a quantifier");
    }

    private string Interval()
    {
        var end = source.IndexOf('}', position);
        var bounds = end < 0 ? [] : source[(position + 1)..end].Split(',');
        int? Bound(string text) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= MaximumRepeats ? number : null;
        var low = bounds is ["", _] ? 0 : bounds is [var first, ..] ? Bound(first) : null;
        var interval = (low, bounds) switch
        {
            (int n, [_]) => $"{{{n}}}",
            (int n, [not "", ""]) => $"{{{n},}}",
            (int n, [_, var last]) when Bound(last) is int m && n <= m => $"{{{n},{m}}}",
            _ => throw Unsupported($"an interval other than {{n}}, {{n,}}, {{n,m}}, {{,m}} with n, m up to {MaximumRepeats}"),
        };
        position = end + 1;
        return interval;
    }

    private void BracketClass()
    {
        target.Append('[');
        if (Take("^"))
            target.Append('^');
        if (!AtEnd && source[position] == ']')
            throw Unsupported("an empty class or an unescaped ] in a class");
        var mayBeRange = false;
        for (var first = true; !Take("]"); first = false)
        {
            if (AtEnd)
                throw Unsupported("a class without end");
            if (source[position] == '[' || source.AsSpan(position).StartsWith("&&"))
                throw Unsupported("a class inside a class, && or an unescaped [ in a class");
            if (source[position] == '-' && !first && !(position + 1 < source.Length && source[position + 1] == ']'))
                throw Unsupported(mayBeRange ? "a '-' here" : "a '-' after a range or a class");
            if (Class() is { } characters)
            {
                target.Append(characters);
                mayBeRange = false;
                continue;
            }
            var from = Character();
            var to = from;
            if (position + 1 < source.Length && source[position] == '-' && source[position + 1] != ']')
            {
                position++;
                if (Class() is not null || source[position] == '[')
                    throw Unsupported("a range that ends in a class");
                to = Character();
                if (to < from)
                    throw Unsupported("an empty range");
            }
            literals.Add((from, to));
            target.Append(ignoreCase ? Folded(from, to) : from == to ? Escaped(from) : $"{Escaped(from)}-{Escaped(to)}");
            mayBeRange = from == to;
        }
        target.Append(']');
    }

    /// <summary>A named class such as \s or \p{Lu}, if one stands here.</summary>
    private string? Class()
    {
        if (AtEnd || source[position] != '\\' || position + 1 >= source.Length)
            return null;
        var letter = source[position + 1];
        if (letter is 's' or 'S' or 'd' or 'D')
        {
            position += 2;
            return $"\\{letter}";
        }
        if (letter is not ('p' or 'P'))
            return null;
        var end = source.IndexOf('}', position);
        var name = end > position + 2 && source[position + 2] == '{' ? source[(position + 3)..end] : "";
        if (!Categories.Contains(name))
            throw Unsupported($"the property '{(name.Length > 0 ? name : "\\" + letter)}' (general categories such as L, Lu, N are)");
        if (ignoreCase && name is "Lu" or "Ll" or "Lt")
            throw Unsupported($"\\{letter}{{{name}}} under (?i)");
        position = end + 1;
        return $"\\{letter}{{{name}}}";
    }

    /// <summary>A literal character, escaped or not.</summary>
    private char Character()
    {
        if (AtEnd)
            throw Unsupported("an end in the middle of a class");
        var unit = source[position++];
        if (unit == '\\')
            unit = Escape();
        if (char.IsSurrogate(unit))
            throw Unsupported("a character beyond U+FFFF");
        if (ignoreCase && unit > '\x7F')
            throw Unsupported("a character beyond ASCII under (?i)");
        return unit;
    }

    private char Escape()
    {
        if (AtEnd)
            throw Unsupported("a '\\' at the end");
        var letter = source[position++];
        switch (letter)
        {
            case 'r': return '\r';
            case 'n': return '\n';
            case 't': return '\t';
            case 'f': return '\f';
            case 'v': return '\v';
            case 'a': return '\a';
            case 'e': return '\e';
            case 'u' when Hexadecimal(position, 4) is { } code:
                position += 4;
                return code;
            case 'x' when Hexadecimal(position, 2) is { } code and < '\x80':
                position += 2;
                return code;
            case < '\x80' when !char.IsAsciiLetterOrDigit(letter):
                return letter;
            default:
                position--;
                throw Unsupported($"'\\{letter}'");
        }
    }

    private char? Hexadecimal(int from, int digits) =>
        from + digits <= source.Length
            && ushort.TryParse(source.AsSpan(from, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            ? (char)code
            : null;

    /// <summary>A range for the inside of a class, with the other case of its letters.</summary>
    private static string Folded(char from, char to)
    {
        var items = new StringBuilder($"{Escaped(from)}-{Escaped(to)}");
        for (var c = from; c <= to; c++)
        {
            if (char.IsAsciiLetter(c))
                items.Append(Escaped((char)(c ^ 0x20)));
            if (c is 's' or 'S')
                items.Append("\\u017F"); // Long s and the Kelvin sign fold into ASCII.
            else if (c is 'k' or 'K')
                items.Append("\\u212A");
        }
        return items.ToString();
    }

    private static string Escaped(char c) => char.IsAsciiLetterOrDigit(c) ? c.ToString() : $"\\u{(int)c:X4}";

    private TokenizerException Unsupported(string what) =>
        new($"The regular expression '{source}' has {what} at {position}, which is not supported.");
}
