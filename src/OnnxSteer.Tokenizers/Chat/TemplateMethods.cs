using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;

namespace OnnxSteer.Tokenizers;

/// <summary>Methods of strings, lists and dicts that change nothing.</summary>
internal static partial class TemplateMethods
{
    // Jinja's sandbox hides what would change a value.
    private static readonly string[] ListChanges = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
    private static readonly string[] MappingChanges = ["clear", "pop", "popitem", "setdefault", "update"];

    private static readonly Dictionary<string, Func<TemplateEvaluator, string, Arguments, object?>> Texts = new()
    {
        ["strip"] = (_, text, arguments) => Strip("strip", text, arguments, true, true),
        ["lstrip"] = (_, text, arguments) => Strip("lstrip", text, arguments, true, false),
        ["rstrip"] = (_, text, arguments) => Strip("rstrip", text, arguments, false, true),
        ["upper"] = (_, text, _) => PythonStrings.Upper(text),
        ["lower"] = (_, text, _) => PythonStrings.Lower(text),
        ["casefold"] = (_, text, _) => PythonStrings.Fold(text),
        ["title"] = (_, text, _) => PythonStrings.Title(text),
        ["capitalize"] = (_, text, _) => PythonStrings.Capitalize(text),
        ["swapcase"] = (_, text, _) => PythonStrings.SwapCase(text),
        ["split"] = (_, text, arguments) => Split("split", text, arguments, fromEnd: false),
        ["rsplit"] = (_, text, arguments) => Split("rsplit", text, arguments, fromEnd: true),
        ["splitlines"] = (_, text, arguments) => List(PythonStrings.Lines(text, arguments.Bind("splitlines", "keepends").Flag(0))),
        ["partition"] = (_, text, arguments) => Partition("partition", text, arguments, last: false),
        ["rpartition"] = (_, text, arguments) => Partition("rpartition", text, arguments, last: true),
        ["startswith"] = (_, text, arguments) => Begins("startswith", text, arguments, (part, affix) => part.StartsWith(affix)),
        ["endswith"] = (_, text, arguments) => Begins("endswith", text, arguments, (part, affix) => part.EndsWith(affix)),
        ["removeprefix"] = (_, text, arguments) => arguments.Bind("removeprefix", "prefix").Text(0) is var prefix && text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text,
        ["removesuffix"] = (_, text, arguments) => arguments.Bind("removesuffix", "suffix").Text(0) is var suffix && text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text,
        ["replace"] = (evaluator, text, arguments) => arguments.Bind("replace", "old", "new", "count") is var bound ? PythonStrings.Replace(evaluator, text, bound.Text(0), bound.Text(1), bound.Number(2, -1)) : null,
        ["find"] = (_, text, arguments) => Find("find", text, arguments, last: false),
        ["rfind"] = (_, text, arguments) => Find("rfind", text, arguments, last: true),
        ["index"] = (_, text, arguments) => Found(Find("index", text, arguments, last: false)),
        ["rindex"] = (_, text, arguments) => Found(Find("rindex", text, arguments, last: true)),
        ["count"] = (_, text, arguments) => Within("count", text, arguments) is var (part, what, _) ? new BigInteger(PythonStrings.Count(part, what)) : null,
        ["join"] = (evaluator, text, arguments) => Join(evaluator, text, Python.Iterate(arguments.Bind("join", "iterable")[0])),
        ["format"] = (evaluator, text, arguments) => PythonFormat.Format(evaluator, text, arguments),
        ["zfill"] = (evaluator, text, arguments) => ZeroFill(evaluator, text, arguments.Bind("zfill", "width").Number(0, 0)),
        ["center"] = (evaluator, text, arguments) => Pad("center", evaluator, text, arguments, 0),
        ["ljust"] = (evaluator, text, arguments) => Pad("ljust", evaluator, text, arguments, -1),
        ["rjust"] = (evaluator, text, arguments) => Pad("rjust", evaluator, text, arguments, 1),
        ["expandtabs"] = (evaluator, text, arguments) => PythonStrings.Replace(evaluator, text, "\t", new string(' ', Math.Clamp(arguments.Bind("expandtabs", "tabsize").Number(0, 8), 0, 64)), -1),
        ["isalpha"] = (_, text, _) => PythonStrings.Are(text, Rune.IsLetter),
        ["isdigit"] = (_, text, _) => PythonStrings.Are(text, rune => Rune.IsDigit(rune) || rune.Value is 0xb2 or 0xb3 or 0xb9 or >= 0x2070 and <= 0x2089),
        ["isdecimal"] = (_, text, _) => PythonStrings.Are(text, Rune.IsDigit),
        ["isnumeric"] = (_, text, _) => PythonStrings.Are(text, Rune.IsNumber),
        ["isalnum"] = (_, text, _) => PythonStrings.Are(text, rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
        ["isspace"] = (_, text, _) => PythonStrings.Are(text, rune => rune.IsBmp && PythonStrings.IsSpace((char)rune.Value)),
        ["isascii"] = (_, text, _) => text.All(char.IsAscii),
        ["islower"] = (_, text, _) => PythonStrings.IsLower(text),
        ["isupper"] = (_, text, _) => PythonStrings.IsUpper(text),
        ["istitle"] = (_, text, _) => PythonStrings.IsTitle(text),
        ["isidentifier"] = (_, text, _) => Identifier().IsMatch(text),
        ["isprintable"] = (_, text, _) => text.Length == 0 || PythonText.Repr(text) is var shown && shown.Length - 2 == text.Length + text.Count(unit => unit == '\\'),
    };

    /// <summary>A method by its name; an undefined value where it would change something; null where there is none.</summary>
    public static object? Find(TemplateEvaluator evaluator, object? value, string name)
    {
        switch (value)
        {
            case string text when Texts.TryGetValue(name, out var method):
                return new Callable(name, arguments =>
                {
                    foreach (var argument in arguments.Positional)
                        evaluator.ChargeSearch(text, argument);
                    evaluator.Charge(text.Length / 16);
                    return method(evaluator, text, arguments);
                });
            case string when name is "encode" or "translate" or "maketrans" or "format_map":
                return new Callable(name, _ => throw new TemplateError($"the string method '{name}' is not supported"));
            case Sequence { Kind: SequenceKind.List } when ListChanges.Contains(name):
            case Mapping when MappingChanges.Contains(name):
                return new Undefined($"access to attribute '{name}' of '{Python.TypeOf(value)}' object is unsafe.");
            case Sequence { Kind: SequenceKind.List or SequenceKind.Tuple or SequenceKind.Group } sequence when name is "count" or "index" or "copy":
                return new Callable(name, arguments => Search(evaluator, sequence, name, arguments));
            case Mapping mapping:
                return name switch
                {
                    "get" => new Callable(name, arguments => arguments.Bind("get", "key", "default") is var bound && mapping.TryGet(bound[0], out var item) ? item : bound.Or(1, null)),
                    "keys" => new Callable(name, _ => mapping.Keys()),
                    "values" => new Callable(name, _ => new Sequence(SequenceKind.Values, [.. mapping.Entries.Select(entry => entry.Value)])),
                    "items" => new Callable(name, _ => mapping.Items()),
                    "copy" => new Callable(name, _ => mapping),
                    _ => null,
                };
            default:
                return null;
        }
    }

    public static string Join(TemplateEvaluator evaluator, string separator, IReadOnlyList<object?> items)
    {
        var texts = items.Select(item => item as string ?? throw new TemplateError($"join takes strings, not {Python.TypeOf(item)}")).ToList();
        evaluator.Room(texts.Sum(text => (long)text.Length) + (long)separator.Length * texts.Count);
        return string.Join(separator, texts);
    }

    public static string ZeroFill(TemplateEvaluator evaluator, string text, int width)
    {
        var sign = text.Length > 0 && text[0] is '-' or '+' ? 1 : 0;
        return text[..sign] + PythonStrings.Pad(evaluator, text[sign..], width - sign, "0", 1);
    }

    private static object? Search(TemplateEvaluator evaluator, Sequence sequence, string name, Arguments arguments)
    {
        if (name == "copy")
            return sequence;
        evaluator.Charge(sequence.Size);
        var value = arguments.Bind(name, "value")[0];
        if (name == "count")
            return new BigInteger(sequence.Items.Count(item => Python.AreEqual(item, value)));
        var place = sequence.Items.Index().Where(item => Python.AreEqual(item.Item, value)).Select(item => (int?)item.Index).FirstOrDefault();
        return new BigInteger(place ?? throw new TemplateError($"{PythonText.Repr(value)} is not in the list"));
    }

    [GeneratedRegex(@"^[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Identifier();

    private static Sequence List(IEnumerable<string> texts) => Sequence.List([.. texts]);

    private static string Strip(string name, string text, Arguments arguments, bool atStart, bool atEnd)
    {
        var bound = arguments.Bind(name, "chars");
        return PythonStrings.Strip(text, bound.Or(0, null) is null ? null : bound.Text(0), atStart, atEnd);
    }

    private static Sequence Split(string name, string text, Arguments arguments, bool fromEnd)
    {
        var bound = arguments.Bind(name, "sep", "maxsplit");
        var cuts = bound.Number(1, -1);
        return List(bound.Or(0, null) is null ? PythonStrings.SplitBlanks(text, cuts, fromEnd) : PythonStrings.Split(text, bound.Text(0), cuts, fromEnd));
    }

    private static Sequence Partition(string name, string text, Arguments arguments, bool last)
    {
        var separator = arguments.Bind(name, "sep").Text(0);
        if (separator.Length == 0)
            throw new TemplateError("the separator to split at is empty");
        var at = last ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        return at >= 0 ? Sequence.Tuple(text[..at], separator, text[(at + separator.Length)..]) : last ? Sequence.Tuple("", "", text) : Sequence.Tuple(text, "", "");
    }

    private delegate bool Affix(ReadOnlySpan<char> text, ReadOnlySpan<char> affix);

    private static bool Begins(string name, string text, Arguments arguments, Affix has)
    {
        var bound = arguments.Bind(name, "affix", "start", "end");
        var part = bound.Has(1) ? Part(text, bound.Or(1, null), bound.Or(2, null)).Text : text;
        return bound[0] is Sequence { IsTuple: true } several ? several.Items.Any(affix => has(part, affix as string ?? throw new TemplateError($"{name} takes strings"))) : has(part, bound.Text(0));
    }

    private static (string Part, string What, int Start) Within(string name, string text, Arguments arguments)
    {
        var bound = arguments.Bind(name, "sub", "start", "end");
        var (part, start) = bound.Has(1) ? Part(text, bound.Or(1, null), bound.Or(2, null)) : (text, 0);
        return (part, bound.Text(0), start);
    }

    private static (string Text, int Start) Part(string text, object? start, object? end)
    {
        var characters = Python.Characters(text);
        var (from, count, _) = Python.Slice(start, end, null, characters.Count);
        return (string.Concat(characters.Skip(from).Take(count)), from);
    }

    private static BigInteger Find(string name, string text, Arguments arguments, bool last)
    {
        var (part, what, start) = Within(name, text, arguments);
        var at = last ? part.LastIndexOf(what, StringComparison.Ordinal) : part.IndexOf(what, StringComparison.Ordinal);
        return at < 0 ? -1 : start + Python.Length(part[..at]);
    }

    private static BigInteger Found(BigInteger place) => place >= 0 ? place : throw new TemplateError("substring not found");

    private static string Pad(string name, TemplateEvaluator evaluator, string text, Arguments arguments, int side)
    {
        var bound = arguments.Bind(name, "width", "fillchar");
        return PythonStrings.Pad(evaluator, text, Python.Int(bound[0], name), bound.Text(1, " "), side);
    }
}
