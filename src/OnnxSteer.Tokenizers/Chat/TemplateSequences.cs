using System.Numerics;

namespace OnnxSteer.Tokenizers;

/// <summary>Filters that go through items, some by an attribute such as <c>function.name</c>.</summary>
internal static class TemplateSequences
{
    public static object Map(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        if (arguments.Positional.Count == 0 && arguments.Named.ContainsKey("attribute"))
        {
            var bound = arguments.Bind("map", "attribute", "default");
            return Sequence.Generator([.. evaluator.ItemsOf(value).Select(item => AttributeOf(evaluator, item, bound[0]) is var found && found is Undefined && bound.Has(1) ? bound[1] : found)]);
        }
        if (arguments.Positional is not [string name, ..])
            throw new TemplateError("map takes the name of a filter, or attribute=NAME");
        var rest = arguments with { Positional = [.. arguments.Positional.Skip(1)] };
        return Sequence.Generator([.. evaluator.ItemsOf(value).Select(item => evaluator.Filter(name, item, rest))]);
    }

    public static object Select(TemplateEvaluator evaluator, object? value, Arguments arguments, bool wanted, bool byAttribute)
    {
        var skipped = byAttribute ? 1 : 0;
        if (byAttribute && arguments.Positional.Count == 0)
            throw new TemplateError("selectattr and rejectattr take the name of an attribute");
        var test = arguments.Positional.Count > skipped ? arguments.Positional[skipped] as string ?? throw new TemplateError("the name of a test is a string") : null;
        var rest = arguments with { Positional = [.. arguments.Positional.Skip(skipped + 1)] };
        return Sequence.Generator([.. evaluator.ItemsOf(value).Where(item =>
        {
            var subject = byAttribute ? AttributeOf(evaluator, item, arguments.Positional[0]) : item;
            return (test is null ? Python.IsTrue(subject) : evaluator.Test(test, subject, rest)) == wanted;
        })]);
    }

    public static object Sort(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("sort", "reverse", "case_sensitive", "attribute");
        return Sequence.List(Sorted(evaluator, evaluator.ItemsOf(value), bound.Flag(0), Key(evaluator, bound, 2, 1, several: true)));
    }

    public static object SortMapping(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("dictsort", "case_sensitive", "by", "reverse");
        var place = bound.Text(1, "key") switch { "key" => 0, "value" => 1, var by => throw new TemplateError($"dictsort goes by 'key' or 'value', not '{by}'") };
        return Sequence.List(Sorted(evaluator, (value as Mapping ?? throw TemplateFilters.Wrong("dictsort", value)).Items().Items, bound.Flag(2),
            item => Folded(((Sequence)item!).Items[place], bound.Flag(0))));
    }

    public static object GroupBy(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("groupby", "attribute", "default", "case_sensitive");
        object? KeyOf(object? item) => AttributeOf(evaluator, item, bound[0]) is var found && found is Undefined && bound.Has(1) ? bound[1] : found;
        var groups = new List<(object? Folded, object? Key, List<object?> Items)>();
        foreach (var item in Sorted(evaluator, evaluator.ItemsOf(value), false, item => Folded(KeyOf(item), bound.Flag(2))))
        {
            var key = KeyOf(item);
            if (groups.Count == 0 || !Python.AreEqual(groups[^1].Folded, Folded(key, bound.Flag(2))))
                groups.Add((Folded(key, bound.Flag(2)), key, []));
            groups[^1].Items.Add(item);
        }
        return Sequence.List([.. groups.Select(group => new Sequence(SequenceKind.Group, [group.Key, Sequence.List(group.Items)]))]);
    }

    public static object Unique(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var key = Key(evaluator, arguments.Bind("unique", "case_sensitive", "attribute"), 1, 0, several: false);
        return Sequence.Generator([.. evaluator.ItemsOf(value).DistinctBy(item => new MappingKey(key(item)))]);
    }

    public static object? Extreme(TemplateEvaluator evaluator, object? value, Bound bound, int sign)
    {
        var items = evaluator.ItemsOf(value);
        if (items.Count == 0)
            return new Undefined("No aggregated item, sequence was empty.");
        var key = Key(evaluator, bound, 1, 0, several: false);
        return items.Aggregate((best, item) => Python.Compare(key(item), key(best)) * sign > 0 ? item : best);
    }

    public static object? Sum(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("sum", "attribute", "start");
        return evaluator.ItemsOf(value).Select(item => bound.Or(0, null) is { } attribute ? AttributeOf(evaluator, item, attribute) : item)
            .Aggregate(bound.Or(1, BigInteger.Zero), (sum, item) =>
            {
                evaluator.Charge(Structure.SizeOf(sum));
                return sum is string ? throw new TemplateError("sum does not join strings; use 'join'") : Python.Arithmetic("+", sum, item);
            });
    }

    public static object Slices(TemplateEvaluator evaluator, object? value, Arguments arguments)
    {
        var bound = arguments.Bind("slice", "slices", "fill_with");
        var (items, count) = (evaluator.ItemsOf(value), Python.Int(bound[0], "slice"));
        if (count < 1)
            throw new TemplateError($"slice takes a count of at least 1, not {count}");
        evaluator.Room(count);
        var (each, longer) = (items.Count / count, items.Count % count);
        return Sequence.Generator([.. Enumerable.Range(0, count).Select(object? (i) =>
        {
            var part = items.Skip(i * each + Math.Min(i, longer)).Take(each + (i < longer ? 1 : 0));
            return Sequence.List([.. i >= longer && bound.Or(1, null) is { } fill ? part.Append(fill) : part]);
        })]);
    }

    /// <summary>An item's attribute by a name, a path of names and numbers with dots, or a number.</summary>
    public static object? AttributeOf(TemplateEvaluator evaluator, object? item, object? attribute)
    {
        if (attribute is not string path)
            return evaluator.ItemOf(item, attribute);
        foreach (var part in path.Split('.'))
            item = evaluator.ItemOf(item, part.Length > 0 && part.Length < 9 && part.All(char.IsAsciiDigit) ? BigInteger.Parse(part, System.Globalization.CultureInfo.InvariantCulture) : part);
        return item;
    }

    private static Func<object?, object?> Key(TemplateEvaluator evaluator, Bound bound, int attribute, int caseSensitive, bool several)
    {
        var isSensitive = bound.Flag(caseSensitive);
        return bound.Or(attribute, null) switch
        {
            null => item => Folded(item, isSensitive),
            string names when several && names.Contains(',', StringComparison.Ordinal) =>
                item => Sequence.Tuple([.. names.Split(',').Select(name => Folded(AttributeOf(evaluator, item, name), isSensitive))]),
            var name => item => Folded(AttributeOf(evaluator, item, name), isSensitive),
        };
    }

    private static object? Folded(object? value, bool isSensitive) => value is string text && !isSensitive ? PythonStrings.Lower(text) : value;

    private static List<object?> Sorted(TemplateEvaluator evaluator, IReadOnlyList<object?> items, bool reverse, Func<object?, object?> key)
    {
        var comparer = Comparer<object?>.Create((a, b) =>
        {
            evaluator.Charge(1 + Math.Min(Structure.SizeOf(a), Structure.SizeOf(b)));
            return Python.Compare(a, b) ?? 0;
        });
        var keyed = items.Select(item => (Item: item, Key: key(item)));
        try
        {
            return [.. (reverse ? keyed.OrderByDescending(entry => entry.Key, comparer) : keyed.OrderBy(entry => entry.Key, comparer)).Select(entry => entry.Item)];
        }
        catch (InvalidOperationException exception) when (exception.InnerException is TemplateError error)
        {
            throw error;
        }
    }
}
