using System.Globalization;
using System.Numerics;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>What may stand behind <c>|</c>.</summary>
internal static class TemplateFilters
{
    public delegate object? Filter(TemplateEvaluator evaluator, object? value, Arguments arguments);

    private static readonly Dictionary<string, Filter> All = new()
    {
        ["abs"] = (_, value, _) => value is double number ? Math.Abs(number) : Python.IsNumber(value) ? (object)BigInteger.Abs(Python.Whole(value)) : throw Wrong("abs", value),
        ["attr"] = (evaluator, value, arguments) => arguments.Bind("attr", "name").Text(0) is var name && value is Mapping mapping && !IsMethod(evaluator, mapping, name)
            ? new Undefined($"dict object has no attribute '{name}'") : evaluator.MemberOf(value, name),
        ["batch"] = Batch,
        ["capitalize"] = (evaluator, value, _) => PythonStrings.Capitalize(evaluator.Text(value)),
        ["center"] = (evaluator, value, arguments) => PythonStrings.Pad(evaluator, evaluator.Text(value), arguments.Bind("center", "width").Number(0, 80), " ", 0),
        ["count"] = (_, value, _) => Length(value),
        ["d"] = Default,
        ["default"] = Default,
        ["dictsort"] = TemplateSequences.SortMapping,
        ["e"] = Escape,
        ["escape"] = Escape,
        ["forceescape"] = Escape,
        ["first"] = (_, value, _) => Python.Iterate(value) is [var first, ..] ? first : new Undefined("No first item, sequence was empty."),
        ["float"] = (_, value, arguments) => Number(value, arguments.Bind("float", "default").Or(0, 0.0), real: true, 10),
        ["format"] = (evaluator, value, arguments) => PythonFormat.Printf(evaluator, evaluator.Text(value), arguments.Positional, Named(arguments)),
        ["groupby"] = TemplateSequences.GroupBy,
        ["indent"] = Indent,
        ["int"] = (_, value, arguments) => arguments.Bind("int", "default", "base") is var bound ? Number(value, bound.Or(0, BigInteger.Zero), real: false, bound.Number(1, 10)) : null,
        ["items"] = (_, value, _) => value is Undefined ? Sequence.Generator([]) : Sequence.Generator((value as Mapping ?? throw Wrong("items", value)).Items().Items),
        ["join"] = Join,
        ["last"] = (_, value, _) => value is Sequence { Kind: SequenceKind.Generator } ? throw Wrong("last", value) : Python.Iterate(value) is [.., var last] ? last : new Undefined("No last item, sequence was empty."),
        ["length"] = (_, value, _) => Length(value),
        ["list"] = (evaluator, value, _) => Sequence.List(evaluator.ItemsOf(value)),
        ["lower"] = (evaluator, value, _) => PythonStrings.Lower(evaluator.Text(value)),
        ["map"] = TemplateSequences.Map,
        ["max"] = (evaluator, value, arguments) => TemplateSequences.Extreme(evaluator, value, arguments.Bind("max", "case_sensitive", "attribute"), 1),
        ["min"] = (evaluator, value, arguments) => TemplateSequences.Extreme(evaluator, value, arguments.Bind("min", "case_sensitive", "attribute"), -1),
        ["reject"] = (evaluator, value, arguments) => TemplateSequences.Select(evaluator, value, arguments, wanted: false, byAttribute: false),
        ["rejectattr"] = (evaluator, value, arguments) => TemplateSequences.Select(evaluator, value, arguments, wanted: false, byAttribute: true),
        ["replace"] = (evaluator, value, arguments) => arguments.Bind("replace", "old", "new", "count") is var bound
            ? PythonStrings.Replace(evaluator, evaluator.Text(value), evaluator.Text(bound[0]), evaluator.Text(bound[1]), bound.Or(2, null) is null ? -1 : bound.Number(2, -1)) : null,
        ["reverse"] = (evaluator, value, _) => value is string text ? string.Concat(Python.Characters(text).AsEnumerable().Reverse())
            : value is Sequence { Kind: SequenceKind.Generator } ? throw Wrong("reverse", value) : Sequence.Generator([.. evaluator.ItemsOf(value).Reverse()]),
        ["round"] = Round,
        ["safe"] = (evaluator, value, _) => evaluator.Text(value),
        ["select"] = (evaluator, value, arguments) => TemplateSequences.Select(evaluator, value, arguments, wanted: true, byAttribute: false),
        ["selectattr"] = (evaluator, value, arguments) => TemplateSequences.Select(evaluator, value, arguments, wanted: true, byAttribute: true),
        ["slice"] = TemplateSequences.Slices,
        ["sort"] = TemplateSequences.Sort,
        ["string"] = (evaluator, value, _) => evaluator.Text(value),
        ["sum"] = TemplateSequences.Sum,
        ["title"] = (evaluator, value, _) => Title(evaluator.Text(value)),
        ["tojson"] = ToJson,
        ["trim"] = (evaluator, value, arguments) => arguments.Bind("trim", "chars") is var bound ? PythonStrings.Strip(evaluator.Text(value), bound.Or(0, null) is null ? null : bound.Text(0), true, true) : null,
        ["truncate"] = Truncate,
        ["unique"] = TemplateSequences.Unique,
        ["upper"] = (evaluator, value, _) => PythonStrings.Upper(evaluator.Text(value)),
        ["urlencode"] = UrlEncode,
        ["wordcount"] = (evaluator, value, _) => new BigInteger(Words(evaluator.Text(value))),
    };

    // Jinja's other filters make HTML, or something new at each call.
    private static readonly string[] Unsupported = ["filesizeformat", "pprint", "random", "striptags", "urlize", "wordwrap", "xmlattr"];

    public static bool Has(string name) => All.ContainsKey(name);

    /// <exception cref="TemplateError">There is none of that name.</exception>
    public static Filter Find(string name, int line) => All.GetValueOrDefault(name) ?? throw Unknown(name, line);

    public static TemplateError Unknown(string name, int line) => new(Unsupported.Contains(name) ? $"the filter '{name}' is not supported" : $"no filter named '{name}'", line);

    public static TemplateError Wrong(string filter, object? value) => value is Undefined missing ? missing.Error() : new($"the filter '{filter}' does not take {Python.TypeOf(value)}");

    private static bool IsMethod(TemplateEvaluator evaluator, Mapping mapping, string name) => TemplateMethods.Find(evaluator, mapping, name) is not null;

    private static Mapping? Named(Arguments arguments) => arguments.Named.Count == 0 ? null
        : arguments.Positional.Count == 0 ? new Mapping(arguments.Named.Select(entry => KeyValuePair.Create((object?)entry.Key, entry.Value)))
        : throw new TemplateError("format takes positional or named arguments, not both");

    private static Sequence Batch(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("batch", "linecount", "fill_with");
        var size = Python.Int(bound[0], "batch");
        if (size < 1)
            throw new TemplateError($"batch takes a count of at least 1, not {size}");
        return Sequence.Generator([.. evaluator.ItemsOf(value).Chunk(size).Select(object? (chunk) =>
        {
            if (chunk.Length == size || bound.Or(1, null) is not { } fill)
                return Sequence.List(chunk);
            evaluator.Room(size);
            return Sequence.List([.. chunk, .. Enumerable.Repeat(fill, size - chunk.Length)]);
        })]);
    }

    private static BigInteger Length(object? value) => new BigInteger(value switch
    {
        string text => Python.Length(text),
        Mapping mapping => mapping.Entries.Count,
        Sequence { HasLength: true } sequence => sequence.Items.Count,
        Undefined => 0,
        _ => throw new TemplateError($"{Python.TypeOf(value)} has no length"),
    });

    private static object? Default(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("default", "default_value", "boolean");
        return value is Undefined || bound.Flag(1) && !Python.IsTrue(value) ? bound.Or(0, "") : value;
    }

    private static string Escape(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var text = new StringBuilder();
        foreach (var unit in evaluator.Text(value))
            _ = unit switch
            {
                '&' => text.Append("&amp;"),
                '<' => text.Append("&lt;"),
                '>' => text.Append("&gt;"),
                '"' => text.Append("&#34;"),
                '\'' => text.Append("&#39;"),
                _ => text.Append(unit),
            };
        return text.ToString();
    }

    private static object? Number(object? value, object? standard, bool real, int radix)
    {
        switch (value)
        {
            case Undefined missing:
                throw missing.Error();
            case bool or BigInteger or double when real:
                return Python.Double(value);
            case bool or BigInteger:
                return Python.Whole(value);
            case double number:
                return double.IsFinite(number) ? new BigInteger(number) : standard;
            case string text:
                var digits = text.Trim().Replace("_", "", StringComparison.Ordinal);
                if (!real && radix != 10)
                    return Radix(digits.ToLowerInvariant(), radix) is { } based ? based : standard;
                if (!real && digits.Length < 4300 && BigInteger.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
                    return whole;
                if (!double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var parsed))
                    return standard;
                return real ? parsed : double.IsFinite(parsed) ? new BigInteger(parsed) : standard;
            default:
                return standard;
        }
    }

    private static BigInteger? Radix(string digits, int radix)
    {
        var isNegative = digits.StartsWith('-');
        digits = digits.TrimStart('-', '+');
        if (radix is 2 or 8 or 16 && digits.Length > 2 && digits[0] == '0' && digits[1] == (radix == 2 ? 'b' : radix == 8 ? 'o' : 'x'))
            digits = digits[2..];
        var number = BigInteger.Zero;
        foreach (var digit in digits.Length < 4300 ? digits : "")
        {
            var value = char.IsAsciiDigit(digit) ? digit - '0' : char.IsAsciiLetterLower(digit) ? digit - 'a' + 10 : int.MaxValue;
            if (value >= radix)
                return null;
            number = number * radix + value;
        }
        return digits.Length is 0 or >= 4300 ? null : isNegative ? -number : number;
    }

    private static string Indent(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("indent", "width", "first", "blank");
        var indentation = bound.Or(0, null) is string given ? given : new string(' ', Math.Clamp(bound.Number(0, 4), 0, 1 << 12));
        var lines = PythonStrings.Lines(evaluator.Text(value) + "\n", keepEnds: false);
        evaluator.Room(lines.Sum(line => (long)line.Length + 1 + indentation.Length));
        var isBlankToo = bound.Flag(2);
        return string.Join('\n', lines.Select((line, i) => (i == 0 ? bound.Flag(1) : isBlankToo || line.Length > 0) ? indentation + line : line));
    }

    private static string Join(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("join", "d", "attribute");
        var items = evaluator.ItemsOf(value);
        if (bound.Or(1, null) is { } attribute)
            items = [.. items.Select(item => TemplateSequences.AttributeOf(evaluator, item, attribute))];
        return TemplateMethods.Join(evaluator, evaluator.Text(bound.Or(0, "")), [.. items.Select(evaluator.Text)]);
    }

    private static object Round(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("round", "precision", "method");
        var (precision, method) = (bound.Number(0, 0), bound.Text(1, "common"));
        if (!Python.IsNumber(value))
            throw Wrong("round", value);
        if (value is not double && precision == 0 && method == "common")
            return Python.Whole(value);
        if (precision is < -300 or > 300)
            throw new TemplateError($"round to {precision} digits; from -300 to 300 are taken");
        var (number, scale) = (Python.Double(value), Math.Pow(10, precision));
        return method switch
        {
            "common" => precision is >= 0 and <= 15 && double.IsFinite(number) && Math.Abs(number) < 1e15 ? double.Parse(PythonText.Fixed(number, precision), CultureInfo.InvariantCulture) : Math.Round(number * scale) / scale,
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => throw new TemplateError($"round has no method '{method}'"),
        };
    }

    private static string Title(string text)
    {
        var titled = new StringBuilder();
        var begins = true;
        foreach (var character in Python.Characters(text).Cast<string>())
        {
            titled.Append(begins ? PythonStrings.Upper(character) : PythonStrings.Lower(character));
            begins = PythonStrings.IsSpace(character[0]) || character[0] is '-' or '(' or '{' or '[' or '<';
        }
        return titled.ToString();
    }

    private static string ToJson(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("tojson", "ensure_ascii", "indent", "separators", "sort_keys");
        var indent = bound.Or(1, null) switch
        {
            null => null,
            string text => text,
            var width => new string(' ', Math.Clamp(Python.Int(width, "indent"), 0, 1 << 12)),
        };
        var (comma, colon) = bound.Or(2, null) switch
        {
            null => (indent is null ? ", " : ",", ": "),
            Sequence { Items: [string first, string second] } => (first, second),
            _ => throw new TemplateError("separators are two strings"),
        };
        evaluator.Charge(Structure.SizeOf(value));
        return PythonText.Json(value, bound.Flag(0), indent, comma, colon, bound.Flag(3), evaluator.Limits.Characters);
    }

    private static string Truncate(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("truncate", "length", "killwords", "end", "leeway");
        var (length, end) = (bound.Number(0, 255), bound.Text(2, "..."));
        var characters = Python.Characters(evaluator.Text(value));
        var kept = length - Python.Length(end);
        if (kept < 0)
            throw new TemplateError($"truncate to {length} characters, fewer than the end has");
        if (characters.Count <= (long)length + bound.Number(3, 5))
            return string.Concat(characters);
        var text = string.Concat(characters.Take(kept));
        return (bound.Flag(1) || text.LastIndexOf(' ') is not (>= 0 and var space) ? text : text[..space]) + end;
    }

    private static string UrlEncode(TemplateEvaluator evaluator, object? value, Arguments arguments) => value is Mapping or Sequence
        ? string.Join('&', (value is Mapping mapping ? mapping.Items().Items : evaluator.ItemsOf(value)).Select(pair => Python.Iterate(pair) is [var key, var item]
            ? $"{Quoted(evaluator.Text(key), "")}={Quoted(evaluator.Text(item), "")}" : throw Wrong("urlencode", value)))
        : Quoted(evaluator.Text(value), "/");

    private static string Quoted(string text, string safe) =>
        string.Concat(Encoding.UTF8.GetBytes(text).Select(unit => char.IsAsciiLetterOrDigit((char)unit) || "_.-~".Contains((char)unit, StringComparison.Ordinal) || safe.Contains((char)unit, StringComparison.Ordinal)
            ? ((char)unit).ToString() : $"%{unit:X2}"));

    private static int Words(string text)
    {
        var (words, isInside) = (0, false);
        foreach (var unit in text)
        {
            var isWord = unit == '_' || char.IsLetterOrDigit(unit);
            words += isWord && !isInside ? 1 : 0;
            isInside = isWord;
        }
        return words;
    }
}
