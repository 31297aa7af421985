using System.Globalization;
using System.Numerics;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>How values are written: as <c>str</c> and <c>repr</c> do, and as JSON.</summary>
internal static class PythonText
{
    /// <summary>As printed.</summary>
    public static string Str(object? value) => value switch
    {
        string text => text,
        Undefined => "",
        _ => Repr(value),
    };

    public static string Repr(object? value)
    {
        var text = new StringBuilder();
        Repr(text, value);
        return text.ToString();
    }

    public static string Float(double number)
    {
        if (double.IsNaN(number))
            return "nan";
        if (double.IsInfinity(number))
            return number > 0 ? "inf" : "-inf";

        // The shortest digits that read back as the number, then Python's own rule for the exponent.
        var (sign, digits, exponent) = Digits(number.ToString("R", CultureInfo.InvariantCulture));
        if (exponent is < -4 or >= 16)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        if (exponent < 0)
            return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        return digits.Length > exponent + 1 ? $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}" : $"{sign}{digits.PadRight(exponent + 1, '0')}.0";
    }

    /// <summary>So many digits behind the point: the exact value rounded, a half to the even digit (.NET rounds it up).</summary>
    public static string Fixed(double number, int digits)
    {
        var bits = BitConverter.DoubleToInt64Bits(number);
        var power = (int)(bits >> 52 & 0x7ff);
        var mantissa = (BigInteger)(bits & (1L << 52) - 1 | (power > 0 ? 1L << 52 : 0)) * BigInteger.Pow(10, digits);
        var shift = Math.Max(power, 1) - 1075;
        var denominator = shift < 0 ? BigInteger.One << -shift : BigInteger.One;
        var whole = BigInteger.DivRem(shift > 0 ? mantissa << shift : mantissa, denominator, out var rest);
        if ((rest * 2).CompareTo(denominator) is var half && (half > 0 || half == 0 && !whole.IsEven))
            whole += 1;
        var text = whole.ToString(CultureInfo.InvariantCulture).PadLeft(digits + 1, '0');
        return (double.IsNegative(number) ? "-" : "") + (digits == 0 ? text : $"{text[..^digits]}.{text[^digits..]}");
    }

    /// <summary>As <c>json.dumps</c> writes it.</summary>
    /// <param name="value">The value.</param>
    /// <param name="ascii">Whether characters beyond ASCII are escaped.</param>
    /// <param name="indent">What a level is indented by; null for one line.</param>
    /// <param name="comma">Between items.</param>
    /// <param name="colon">Between key and value.</param>
    /// <param name="sorted">Whether keys are sorted.</param>
    /// <param name="maximum">Characters at most.</param>
    public static string Json(object? value, bool ascii, string? indent, string comma, string colon, bool sorted, int maximum)
    {
        var text = new StringBuilder();
        Write(value, 0);
        return text.ToString();

        void Write(object? item, int level)
        {
            if (text.Length > maximum)
                throw new TemplateError($"JSON of more than {maximum} characters");
            switch (item)
            {
                case null:
                    text.Append("null");
                    break;
                case bool flag:
                    text.Append(flag ? "true" : "false");
                    break;
                case BigInteger number:
                    text.Append(number.ToString(CultureInfo.InvariantCulture));
                    break;
                case double number:
                    text.Append(double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? (number > 0 ? "Infinity" : "-Infinity") : Float(number));
                    break;
                case string content:
                    Quote(text, content, ascii);
                    break;
                case Sequence { Kind: SequenceKind.List or SequenceKind.Tuple or SequenceKind.Group } sequence:
                    Block('[', ']', sequence.Items, level, entry => Write(entry, level + 1));
                    break;
                case Mapping mapping:
                    var entries = mapping.Entries.Select(entry => (Key: Key(entry.Key), entry.Value));
                    Block('{', '}', (sorted ? entries.Order(Comparer<(string Key, object? Value)>.Create((a, b) => Python.Compare(a.Key, b.Key) ?? 0)) : entries).ToList(), level, entry =>
                    {
                        Quote(text, entry.Key, ascii);
                        text.Append(colon);
                        Write(entry.Value, level + 1);
                    });
                    break;
                default:
                    throw new TemplateError($"{Python.TypeOf(item)} cannot be written as JSON");
            }
        }

        void Block<T>(char open, char close, IReadOnlyList<T> items, int level, Action<T> write)
        {
            text.Append(open);
            foreach (var (i, item) in items.Index())
            {
                text.Append(i > 0 ? comma : "");
                Line(level + 1);
                write(item);
            }
            if (items.Count > 0)
                Line(level);
            text.Append(close);
        }

        void Line(int level)
        {
            if (indent is null)
                return;
            text.Append('\n');
            for (var i = 0; i < level; i++)
                text.Append(indent);
        }
    }

    private static string Key(object? key) => key switch
    {
        string text => text,
        null => "null",
        bool flag => flag ? "true" : "false",
        BigInteger or double => Str(key),
        _ => throw new TemplateError($"keys of JSON are strings, not {Python.TypeOf(key)}"),
    };

    private static void Quote(StringBuilder text, string content, bool ascii)
    {
        text.Append('"');
        foreach (var unit in content)
            _ = unit switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}"),
                > '~' when ascii => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}"),
                _ => text.Append(unit),
            };
        text.Append('"');
    }

    private static (string Sign, string Digits, int Exponent) Digits(string shortest)
    {
        var sign = shortest[0] == '-' ? "-" : "";
        var parts = shortest[sign.Length..].Split('E');
        var point = parts[0].IndexOf('.', StringComparison.Ordinal) is var at && at < 0 ? parts[0].Length : at;
        var all = parts[0].Replace(".", "", StringComparison.Ordinal);
        var digits = all.TrimStart('0');
        var exponent = (parts.Length > 1 ? int.Parse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) : 0) + point - 1 - (all.Length - digits.Length);
        return digits.Length == 0 ? (sign, "0", 0) : (sign, digits.TrimEnd('0'), exponent);
    }

    private static void Repr(StringBuilder text, object? value)
    {
        switch (value)
        {
            case null:
                text.Append("None");
                break;
            case bool flag:
                text.Append(flag ? "True" : "False");
                break;
            case BigInteger number:
                text.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            case double number:
                text.Append(Float(number));
                break;
            case string content:
                Repr(text, content);
                break;
            case Undefined:
                text.Append("Undefined");
                break;
            case Sequence { Kind: SequenceKind.Range } range:
                text.Append(CultureInfo.InvariantCulture, $"range({Str(range.Items.FirstOrDefault(BigInteger.Zero))}, {Str(range.Items.Count == 0 ? BigInteger.Zero : (BigInteger)range.Items[^1]! + Step(range))}");
                text.Append(Step(range).IsOne ? ")" : $", {Step(range)})");
                break;
            case Sequence { Kind: SequenceKind.Generator }:
                throw new TemplateError("a generator is printed; put the filter 'list' behind it");
            case Sequence sequence:
                var (open, close) = sequence.Kind switch
                {
                    SequenceKind.List => ("[", "]"),
                    SequenceKind.Tuple or SequenceKind.Group => ("(", sequence.Items.Count == 1 ? ",)" : ")"),
                    var kind => ($"dict_{kind.ToString().ToLowerInvariant()}([", "])"),
                };
                text.Append(open);
                foreach (var (i, item) in sequence.Items.Index())
                    Repr(i > 0 ? text.Append(", ") : text, item);
                text.Append(close);
                break;
            case Mapping mapping:
                text.Append('{');
                foreach (var (i, (key, item)) in mapping.Entries.Index())
                {
                    Repr(i > 0 ? text.Append(", ") : text, key);
                    Repr(text.Append(": "), item);
                }
                text.Append('}');
                break;
            default:
                throw new TemplateError($"a {Python.TypeOf(value)} has no text");
        }
    }

    private static BigInteger Step(Sequence range) => range.Items.Count < 2 ? 1 : (BigInteger)range.Items[1]! - (BigInteger)range.Items[0]!;

    private static void Repr(StringBuilder text, string content)
    {
        var quote = content.Contains('\'', StringComparison.Ordinal) && !content.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        text.Append(quote);
        for (var i = 0; i < content.Length; i++)
        {
            var unit = content[i];
            var isPair = i + 1 < content.Length && char.IsSurrogatePair(unit, content[i + 1]);
            var code = isPair ? char.ConvertToUtf32(unit, content[i + 1]) : unit;
            if (unit == quote || unit == '\\')
                text.Append('\\').Append(unit);
            else if (unit is '\n' or '\r' or '\t')
                text.Append(unit == '\n' ? "\\n" : unit == '\r' ? "\\r" : "\\t");
            else if (unit == ' ' || IsPrintable(CharUnicodeInfo.GetUnicodeCategory(code)))
                text.Append(content, i, isPair ? 2 : 1);
            else
                text.Append(code < 0x100 ? $"\\x{code:x2}" : code < 0x10000 ? $"\\u{code:x4}" : $"\\U{code:x8}");
            i += isPair ? 1 : 0;
        }
        text.Append(quote);
    }

    private static bool IsPrintable(UnicodeCategory category) => category is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);
}
