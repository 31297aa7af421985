using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace OnnxSteer.Tokenizers;

/// <summary>Python's two ways to fill values into a text, and its way to write a date.</summary>
internal static partial class PythonFormat
{
    /// <summary><c>'%s: %d' % values</c>.</summary>
    public static string Printf(TemplateEvaluator evaluator, string format, IReadOnlyList<object?> values, Mapping? named)
    {
        var text = new StringBuilder();
        var (at, used) = (0, 0);
        while (at < format.Length)
        {
            var sign = format.IndexOf('%', at);
            if (sign < 0)
                break;
            text.Append(format, at, sign - at);
            var match = Directive().Match(format, sign);
            if (!match.Success)
                throw new TemplateError($"'{format[sign..Math.Min(format.Length, sign + 8)]}' is no format that is supported");
            at = sign + match.Length;
            var kind = match.Groups["kind"].ValueSpan[0];
            if (kind == '%')
            {
                text.Append('%');
                continue;
            }
            object? value;
            if (match.Groups["name"].Success)
                value = named is not null && named.TryGet(match.Groups["name"].Value, out var found) ? found : throw new TemplateError($"no value for '{match.Groups["name"].Value}' of the format");
            else
                value = used < values.Count ? values[used++] : throw new TemplateError("not enough arguments for format string");
            var flags = match.Groups["flags"].Value;
            var width = Count(match.Groups["width"].ValueSpan);
            var precision = match.Groups["precision"].Success ? Count(match.Groups["precision"].ValueSpan) : (int?)null;
            var body = Body(evaluator, kind, value, precision, flags.Contains('#', StringComparison.Ordinal));
            if (kind is not ('s' or 'r' or 'c') && !body.StartsWith('-'))
                body = flags.Contains('+', StringComparison.Ordinal) ? "+" + body : flags.Contains(' ', StringComparison.Ordinal) ? " " + body : body;
            evaluator.Room(text.Length + (long)body.Length + width);
            text.Append(flags.Contains('-', StringComparison.Ordinal) ? PythonStrings.Pad(evaluator, body, width, " ", -1)
                : flags.Contains('0', StringComparison.Ordinal) && kind is not ('s' or 'r' or 'c') ? TemplateMethods.ZeroFill(evaluator, body, width) : PythonStrings.Pad(evaluator, body, width, " ", 1));
        }
        if (named is null && used < values.Count)
            throw new TemplateError("not all arguments converted during string formatting");
        return text.Append(format, at, format.Length - at).ToString();
    }

    /// <summary><c>'{} {name:>8}'.format(…)</c>.</summary>
    public static string Format(TemplateEvaluator evaluator, string format, Arguments arguments)
    {
        var text = new StringBuilder();
        var next = 0;
        for (var at = 0; at < format.Length; at++)
        {
            var unit = format[at];
            if (unit is '{' or '}' && at + 1 < format.Length && format[at + 1] == unit)
                text.Append(format[at++]);
            else if (unit == '{')
            {
                var end = format.IndexOf('}', at);
                var match = end < 0 ? Match.Empty : Field().Match(format[(at + 1)..end]);
                if (!match.Success)
                    throw new TemplateError($"'{format[at..(end < 0 ? format.Length : end + 1)]}' is no field that is supported");
                var name = match.Groups["name"].Value;
                object? value;
                if (name.Length == 0 || char.IsAsciiDigit(name[0]))
                {
                    var place = name.Length == 0 ? next++ : Count(name);
                    value = place < arguments.Positional.Count ? arguments.Positional[place] : throw new TemplateError($"no value for the field {place}");
                }
                else
                    value = arguments.Named.TryGetValue(name, out var found) ? found : throw new TemplateError($"no value for the field '{name}'");
                foreach (Capture step in match.Groups["step"].Captures)
                    value = step.Value[0] == '.' ? evaluator.MemberOf(value, step.Value[1..])
                        : evaluator.ItemOf(value, char.IsAsciiDigit(step.Value[1]) ? new BigInteger(Count(step.ValueSpan[1..^1])) : step.Value[1..^1]);
                value = match.Groups["conversion"].Value switch { "r" => PythonText.Repr(value), "s" => evaluator.Text(value), _ => value };
                text.Append(Specified(evaluator, value, match));
                evaluator.Room(text.Length);
                at = end;
            }
            else
                text.Append(unit != '}' ? unit : throw new TemplateError("a single '}' in a format string"));
        }
        return text.ToString();
    }

    /// <summary>A date as C's <c>strftime</c> writes it, in English.</summary>
    public static string Date(DateTimeOffset time, string format)
    {
        var text = new StringBuilder();
        for (var at = 0; at < format.Length; at++)
        {
            if (format[at] != '%' || at + 1 == format.Length)
            {
                text.Append(format[at]);
                continue;
            }
            var flag = format[++at] is '-' or '_' or '0' or '^' or '#' ? format[at++] : '\0';
            if (at == format.Length)
                return text.Append('%').Append(flag).ToString();
            var part = Part(time, format[at]);
            text.Append(flag switch
            {
                '-' => part.TrimStart('0', ' ') is { Length: > 0 } trimmed ? trimmed : part[^1..],
                '_' => string.Concat(Enumerable.Repeat(' ', part.Length - part.TrimStart('0').Length)) + part.TrimStart('0'),
                '^' => part.ToUpperInvariant(),
                _ => part,
            });
        }
        return text.ToString();
    }

    private static string Part(DateTimeOffset time, char directive)
    {
        var hour = time.Hour % 12 == 0 ? 12 : time.Hour % 12;
        return directive switch
        {
            'a' => Net("ddd"),
            'A' => Net("dddd"),
            'b' or 'h' => Net("MMM"),
            'B' => Net("MMMM"),
            'c' => Date(time, "%a %b %e %H:%M:%S %Y"),
            'C' => $"{time.Year / 100:00}",
            'd' => $"{time.Day:00}",
            'D' or 'x' => Date(time, "%m/%d/%y"),
            'e' => $"{time.Day,2}",
            'f' => $"{time.Ticks / 10 % 1_000_000:000000}",
            'F' => Date(time, "%Y-%m-%d"),
            'G' => $"{ISOWeek.GetYear(time.DateTime)}",
            'g' => $"{ISOWeek.GetYear(time.DateTime) % 100:00}",
            'H' => $"{time.Hour:00}",
            'I' => $"{hour:00}",
            'j' => $"{time.DayOfYear:000}",
            'k' => $"{time.Hour,2}",
            'l' => $"{hour,2}",
            'm' => $"{time.Month:00}",
            'M' => $"{time.Minute:00}",
            'n' => "\n",
            'p' => time.Hour < 12 ? "AM" : "PM",
            'P' => time.Hour < 12 ? "am" : "pm",
            'r' => Date(time, "%I:%M:%S %p"),
            'R' => Date(time, "%H:%M"),
            's' => $"{time.ToUnixTimeSeconds()}",
            'S' => $"{time.Second:00}",
            't' => "\t",
            'T' or 'X' => Date(time, "%H:%M:%S"),
            'u' => $"{((int)time.DayOfWeek + 6) % 7 + 1}",
            'U' => $"{(time.DayOfYear + 6 - (int)time.DayOfWeek) / 7:00}",
            'V' => $"{ISOWeek.GetWeekOfYear(time.DateTime):00}",
            'w' => $"{(int)time.DayOfWeek}",
            'W' => $"{(time.DayOfYear + 6 - ((int)time.DayOfWeek + 6) % 7) / 7:00}",
            'y' => $"{time.Year % 100:00}",
            'Y' => $"{time.Year}",
            // A time without zone, which transformers gives, has none to name.
            'z' or 'Z' => "",
            '%' => "%",
            _ => throw new TemplateError($"the date format '%{directive}' is not supported"),
        };

        string Net(string format) => time.ToString(format, CultureInfo.InvariantCulture);
    }

    private static string Body(TemplateEvaluator evaluator, char kind, object? value, int? precision, bool isMarked)
    {
        switch (kind)
        {
            case 's' or 'r':
                var text = kind == 's' ? evaluator.Text(value) : PythonText.Repr(value);
                return precision is { } most && Python.Length(text) > most ? string.Concat(Python.Characters(text).Take(most)) : text;
            case 'c':
                return value is string { Length: 1 } character ? character : char.ConvertFromUtf32(Math.Clamp(Python.Int(value, "%c"), 0, 0xd7ff));
            case 'd' or 'i' or 'u':
                return Digits(value is double real ? Whole(real) : Whole(value), 10).PadLeft(precision ?? 0, '0');
            case 'x' or 'X' or 'o':
                var digits = Digits(Whole(value), kind == 'o' ? 8 : 16);
                digits = isMarked ? digits.Insert(digits.StartsWith('-') ? 1 : 0, $"0{kind}") : digits;
                return kind == 'X' ? digits.ToUpperInvariant() : digits;
            default:
                if (!Python.IsNumber(value))
                    throw value is Undefined missing ? missing.Error() : new TemplateError($"a number was expected for %{kind}, not {Python.TypeOf(value)}");
                return Real(Python.Double(value), kind, precision ?? 6);
        }
    }

    private static string Real(double number, char kind, int precision)
    {
        if (!double.IsFinite(number))
            return PythonText.Float(number);
        if (precision > 300)
            throw new TemplateError($"{precision} digits; at most 300 are written");
        switch (kind)
        {
            case 'f' or 'F':
                return PythonText.Fixed(number, precision);
            case 'e' or 'E':
                var scientific = number.ToString($"E{precision}", CultureInfo.InvariantCulture).Split('E');
                return $"{scientific[0]}{kind}{scientific[1][0]}{scientific[1][1..].TrimStart('0').PadLeft(2, '0')}";
            default:
                precision = Math.Max(1, precision);
                var exponent = number == 0 ? 0 : int.Parse(number.ToString($"E{precision - 1}", CultureInfo.InvariantCulture).Split('E')[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                var plain = exponent >= -4 && exponent < precision ? Real(number, 'f', precision - 1 - exponent) : Real(number, 'e', precision - 1);
                var (mantissa, rest) = plain.IndexOf('e', StringComparison.Ordinal) is >= 0 and var at ? (plain[..at], plain[at..]) : (plain, "");
                return (mantissa.Contains('.', StringComparison.Ordinal) ? mantissa.TrimEnd('0').TrimEnd('.') : mantissa) + rest;
        }
    }

    private static BigInteger Whole(object? value) => value switch
    {
        bool or BigInteger => Python.Whole(value),
        double number when double.IsFinite(number) => new BigInteger(number),
        Undefined missing => throw missing.Error(),
        _ => throw new TemplateError($"a whole number was expected in the format, not {Python.TypeOf(value)}"),
    };

    private static string Digits(BigInteger number, int radix)
    {
        if (radix == 10)
            return number.ToString(CultureInfo.InvariantCulture);
        var digits = new StringBuilder();
        for (var rest = BigInteger.Abs(number); !rest.IsZero || digits.Length == 0; rest /= radix)
            digits.Insert(0, "0123456789abcdef"[(int)(rest % radix)]);
        return (number.Sign < 0 ? "-" : "") + digits;
    }

    private static string Specified(TemplateEvaluator evaluator, object? value, Match field)
    {
        var (kind, isNumber) = (field.Groups["kind"].Value, Python.IsNumber(value) && value is not bool);
        var precision = field.Groups["precision"].Success ? Count(field.Groups["precision"].ValueSpan) : (int?)null;
        var body = kind switch
        {
            "" when value is double number && precision is { } most => Real(number, 'g', most),
            "" when precision is null => evaluator.Text(value),
            "" or "s" => Body(evaluator, 's', value, precision, false),
            "%" => Real(Python.Double(isNumber ? value : throw new TemplateError("a number was expected in the format")) * 100, 'f', precision ?? 6) + "%",
            _ => Body(evaluator, kind[0], value is double or string && kind == "d" ? throw new TemplateError($"the format 'd' takes whole numbers, not {Python.TypeOf(value)}") : value, precision, false),
        };
        if (field.Groups["comma"].Success)
        {
            var (start, end) = (body.StartsWith('-') ? 1 : 0, body.AsSpan().IndexOfAny('.', 'e') is >= 0 and var point ? point : body.Length);
            for (var i = end - 3; i > start; i -= 3)
                body = body.Insert(i, field.Groups["comma"].Value);
        }
        if (isNumber && field.Groups["sign"].Value is "+" or " " && !body.StartsWith('-'))
            body = field.Groups["sign"].Value + body;
        var width = Count(field.Groups["width"].ValueSpan);
        if (field.Groups["zero"].Success && !field.Groups["align"].Success)
            return TemplateMethods.ZeroFill(evaluator, body, width);
        var fill = field.Groups["fill"].Success && field.Groups["fill"].Length > 0 ? field.Groups["fill"].Value : " ";
        var missing = Math.Max(0, width - Python.Length(body));
        return field.Groups["align"].Value switch
        {
            "^" => PythonStrings.Pad(evaluator, PythonStrings.Pad(evaluator, body, width - (missing + 1) / 2, fill, 1), width, fill, -1),
            "<" => PythonStrings.Pad(evaluator, body, width, fill, -1),
            ">" => PythonStrings.Pad(evaluator, body, width, fill, 1),
            _ => PythonStrings.Pad(evaluator, body, width, fill, Python.IsNumber(value) ? 1 : -1),
        };
    }

    private static int Count(ReadOnlySpan<char> digits) => digits.IsEmpty ? 0
        : int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : throw new TemplateError($"'{digits}' in a format is too large");

    [GeneratedRegex(@"\G%(?:\((?<name>[^)]*)\))?(?<flags>[-+ #0]*)(?<width>[0-9]*)(?:\.(?<precision>[0-9]*))?(?<kind>[srdiufFeEgGxXoc%])", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex Directive();

    [GeneratedRegex(@"^(?<name>\w*)(?<step>\.\w+|\[[^\]]+\])*(?:!(?<conversion>[rs]))?(?::(?:(?<fill>.?)(?<align>[<>^]))?(?<sign>[-+ ]?)(?<zero>0(?=[0-9]))?(?<width>[0-9]*)(?<comma>[,_])?(?:\.(?<precision>[0-9]+))?(?<kind>[sdfFeEgGxXo%]?))?$",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.Singleline)]
    private static partial Regex Field();
}
