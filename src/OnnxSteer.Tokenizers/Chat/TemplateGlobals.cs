using System.Numerics;

namespace OnnxSteer.Tokenizers;

/// <summary>Functions that every template has.</summary>
internal static class TemplateGlobals
{
    // As Jinja's sandbox has it.
    private const int LongestRange = 100_000;

    public static IReadOnlyDictionary<string, object?> All { get; } = new Callable[]
    {
        new("range", Range),
        new("dict", arguments => new Mapping(Entries("dict", arguments))),
        new("namespace", arguments => new Namespace(Entries("namespace", arguments).ToDictionary(entry => entry.Key as string ?? throw new TemplateError("namespace takes names as keys"), entry => entry.Value))),
        new("raise_exception", arguments => throw new TemplateError(PythonText.Str(arguments.Bind("raise_exception", "message")[0]))),
        new("joiner", Joiner),
        new("cycler", Cycler),
    }.ToDictionary(function => function.Name, object? (function) => function);

    private static Sequence Range(Arguments arguments)
    {
        var numbers = arguments.Bind("range", "start", "stop", "step");
        var (start, stop, step) = numbers.Has(1) ? (numbers.Number(0, 0), numbers.Number(1, 0), numbers.Number(2, 1)) : (0, Python.Int(numbers[0], "range"), 1);
        if (step == 0)
            throw new TemplateError("the step of a range cannot be zero");
        var count = Math.Max(0, step > 0 ? ((long)stop - start + step - 1) / step : ((long)start - stop - step - 1) / -(long)step);
        return count <= LongestRange ? new Sequence(SequenceKind.Range, [.. Enumerable.Range(0, (int)count).Select(i => (object?)(BigInteger)(start + (long)i * step))])
            : throw new TemplateError($"a range of {count} numbers; at most {LongestRange} are made");
    }

    private static IEnumerable<KeyValuePair<object?, object?>> Entries(string function, Arguments arguments)
    {
        var first = (arguments with { Named = Arguments.None.Named }).Bind(function, "entries").Or(0, null) switch
        {
            null => [],
            Mapping mapping => mapping.Entries,
            var pairs => Python.Iterate(pairs).Select(pair => Python.Iterate(pair) is [var key, var value] ? KeyValuePair.Create(key, value)
                : throw new TemplateError($"{function} takes a dict or pairs")),
        };
        return first.Concat(arguments.Named.Select(entry => KeyValuePair.Create((object?)entry.Key, entry.Value)));
    }

    private static Callable Joiner(Arguments arguments)
    {
        var separator = arguments.Bind("joiner", "sep").Text(0, ", ");
        var isFirst = true;
        return new Callable("joiner", _ =>
        {
            var joined = isFirst ? "" : separator;
            isFirst = false;
            return joined;
        });
    }

    private static Namespace Cycler(Arguments arguments)
    {
        var items = arguments.Positional.Count > 0 ? arguments.Positional : throw new TemplateError("cycler takes at least one item");
        var at = 0;
        var space = new Namespace([]);
        space.Attributes["next"] = new Callable("next", _ =>
        {
            var item = items[at];
            at = (at + 1) % items.Count;
            space.Attributes["current"] = items[at];
            return item;
        });
        space.Attributes["reset"] = new Callable("reset", _ =>
        {
            (at, space.Attributes["current"]) = (0, items[0]);
            return null;
        });
        space.Attributes["current"] = items[0];
        return space;
    }
}
