using System.Numerics;

namespace OnnxSteer.Tokenizers;

/// <summary>Values of expressions.</summary>
internal sealed partial class TemplateEvaluator
{
    /// <summary>A filter by its name, as <c>map</c> applies it.</summary>
    public object? Filter(string name, object? value, Arguments arguments)
    {
        var result = TemplateFilters.Find(name, Line)(this, value, arguments);
        Charge(Structure.SizeOf(result));
        return result;
    }

    /// <summary>A test by its name, as <c>select</c> applies it.</summary>
    public bool Test(string name, object? value, Arguments arguments)
    {
        Charge(1 + Structure.SizeOf(value));
        return TemplateTests.Find(name, Line)(value, arguments);
    }

    /// <summary>What a filter goes through.</summary>
    public IReadOnlyList<object?> ItemsOf(object? value)
    {
        var items = Python.Iterate(value);
        Charge(items.Count);
        return items;
    }

    /// <summary>As printed.</summary>
    public string Text(object? value)
    {
        if (value is string text)
            return text;
        Charge(Structure.SizeOf(value));
        return Checked(PythonText.Str(value));
    }

    /// <summary><c>value[index]</c>.</summary>
    public object? ItemOf(object? value, object? index)
    {
        switch (value, index)
        {
            case (Undefined missing, _):
                throw missing.Error();
            case (Mapping mapping, _):
                if (mapping.TryGet(index, out var item))
                    return item;
                break;
            case (Sequence { HasIndex: true } sequence, BigInteger or bool):
                var at = Place((BigInteger)(index is bool flag ? (flag ? 1 : 0) : (BigInteger)index), sequence.Items.Count);
                return at is { } place ? sequence.Items[place] : new Undefined($"{Python.TypeOf(value)} object has no element {index}");
            case (string text, BigInteger or bool):
                Charge(text.Length / 16);
                var characters = HasPairs(text) ? Python.Characters(text) : null;
                return Place(Python.Whole(index), characters?.Count ?? text.Length) is { } character ? characters?[character] ?? text[character].ToString()
                    : new Undefined("str object has no element " + index);
        }
        return index is string name ? Attribute(value, name) ?? Missing(value, name) : Missing(value, PythonText.Repr(index));
    }

    /// <summary><c>value.name</c>: a method or attribute, else an item.</summary>
    public object? MemberOf(object? value, string name) => value is Undefined missing ? throw missing.Error()
        : Attribute(value, name) is { } found ? found
        : value is Namespace space && space.Attributes.TryGetValue(name, out var attribute) ? attribute
        : value is Mapping mapping && mapping.TryGet(name, out var item) ? item
        : Missing(value, name);

    /// <summary>Calls a function, macro, method or recursive loop.</summary>
    public object? Invoke(object? function, Arguments arguments)
    {
        var result = function switch
        {
            Callable callable => callable.Invoke(arguments),
            LoopState loop => loop.Recurse(arguments),
            Undefined missing => throw missing.Error(),
            _ => throw new TemplateError($"{Python.TypeOf(function)} cannot be called"),
        };
        Charge(Structure.SizeOf(result));
        return result;
    }

    private static Undefined Missing(object? value, string name) => new(value is null ? $"None has no attribute '{name}'" : $"{Python.TypeOf(value)} object has no attribute '{name}'");

    private object? Attribute(object? value, string name) => value switch
    {
        LoopState loop => loop[name],
        Sequence { Kind: SequenceKind.Group } group when name is "grouper" or "list" => group.Items[name == "list" ? 1 : 0],
        Callable callable when name == "name" => callable.Name,
        _ => TemplateMethods.Find(this, value, name),
    };

    private static int? Place(BigInteger index, int count)
    {
        var place = index < 0 ? index + count : index;
        return place >= 0 && place < count ? (int)place : null;
    }

    private static bool HasPairs(string text) => text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff') >= 0;

    private string Checked(string text)
    {
        Room(text.Length);
        return text;
    }

    private object? Evaluate(Expression expression, Scope scope)
    {
        Enter(expression);
        var value = Value(expression, scope);
        depth--;
        return value;
    }

    private object? Value(Expression expression, Scope scope)
    {
        switch (expression)
        {
            case Constant constant:
                return constant.Value;
            case Variable variable:
                return scope.TryGet(variable.Name, out var value) ? value : new Undefined($"'{variable.Name}' is undefined");
            case SequenceLiteral sequence:
                return new Sequence(sequence.Kind, [.. sequence.Items.Select(item => Evaluate(item, scope))]);
            case MappingLiteral mapping:
                return new Mapping(mapping.Entries.Select(entry => KeyValuePair.Create(Evaluate(entry.Key, scope), Evaluate(entry.Value, scope))));
            case Conditional choice:
                return Python.IsTrue(Evaluate(choice.Test, scope)) ? Evaluate(choice.Then, scope)
                    : choice.Else is { } other ? Evaluate(other, scope) : new Undefined("the inline if-expression evaluated to false and has no else");
            case Junction junction:
                var left = Evaluate(junction.Left, scope);
                return Python.IsTrue(left) == junction.IsAnd ? Evaluate(junction.Right, scope) : left;
            case Negation negation:
                return !Python.IsTrue(Evaluate(negation.Operand, scope));
            case Signed signed:
                var operand = Evaluate(signed.Operand, scope);
                return signed.IsMinus ? Python.Negate(operand) : Python.Arithmetic("*", operand, BigInteger.One) is var same && operand is not string and not Sequence ? same
                    : throw new TemplateError($"bad operand for unary +: {Python.TypeOf(operand)}");
            case Arithmetic arithmetic:
                return Calculate(arithmetic.Sign, Evaluate(arithmetic.Left, scope), Evaluate(arithmetic.Right, scope));
            case Concatenation joined:
                var parts = joined.Parts.Select(part => Text(Evaluate(part, scope))).ToList();
                Room(parts.Sum(part => (long)part.Length));
                return string.Concat(parts);
            case Comparison comparison:
                return Compare(comparison, scope);
            case Member member:
                return MemberOf(Evaluate(member.Of, scope), member.Name);
            case Item { Index: Slice slice } item:
                return Sliced(Evaluate(item.Of, scope), slice, scope);
            case Item item:
                return ItemOf(Evaluate(item.Of, scope), Evaluate(item.Index, scope));
            case Call call:
                var function = Evaluate(call.Of, scope);
                var arguments = Arguments(call.Arguments, scope);
                Line = call.Line;
                return Invoke(function, arguments);
            case Filtered filtered:
                return Filter(filtered, Evaluate(filtered.Of!, scope), scope);
            case Tested tested:
                var subject = Evaluate(tested.Of, scope);
                return Test(tested.Name, subject, Arguments(tested.Arguments, scope));
            default:
                throw new TemplateError("a slice stands alone; it belongs behind a value");
        }
    }

    // What a filter block's chain gets is the block's text.
    private object? Filter(Filtered filtered, object? content, Scope scope)
    {
        if (filtered.Of is Filtered inner && IsOfBlock(inner))
            content = Filter(inner, content, scope);
        var arguments = Arguments(filtered.Arguments, scope);
        Line = filtered.Line;
        return Filter(filtered.Name, content, arguments);
    }

    private static bool IsOfBlock(Filtered filtered) => filtered.Of is null || filtered.Of is Filtered inner && IsOfBlock(inner);

    private object? Calculate(string sign, object? left, object? right)
    {
        Charge(Structure.SizeOf(left) + (long)Structure.SizeOf(right));
        if (sign == "%" && left is string format)
            return Checked(PythonFormat.Printf(this, format, right is Sequence { IsTuple: true } tuple ? tuple.Items : [right], right as Mapping));
        if (sign == "+" && left is string a && right is string b)
            Room((long)a.Length + b.Length);
        var result = Python.Arithmetic(sign, left, right);
        Charge(Structure.SizeOf(result));
        return result;
    }

    private bool Compare(Comparison comparison, Scope scope)
    {
        var left = Evaluate(comparison.First, scope);
        foreach (var (sign, operand) in comparison.Rest)
        {
            var right = Evaluate(operand, scope);
            Charge((long)Structure.SizeOf(left) + Structure.SizeOf(right));
            if (right is string text)
                ChargeSearch(text, left);
            var holds = sign switch
            {
                "==" => Python.AreEqual(left, right),
                "!=" => !Python.AreEqual(left, right),
                "in" => Python.Contains(right, left),
                "not in" => !Python.Contains(right, left),
                "<" => Python.Compare(left, right) < 0,
                "<=" => Python.Compare(left, right) <= 0,
                ">" => Python.Compare(left, right) > 0,
                _ => Python.Compare(left, right) >= 0,
            };
            if (!holds)
                return false;
            left = right;
        }
        return true;
    }

    private object? Sliced(object? value, Slice slice, Scope scope)
    {
        var (start, stop, step) = (Part(slice.Start), Part(slice.Stop), Part(slice.Step));
        Charge(Structure.SizeOf(value));
        switch (value)
        {
            case Undefined missing:
                throw missing.Error();
            case Sequence { HasIndex: true } sequence:
                var kind = sequence.Kind == SequenceKind.Group ? SequenceKind.Tuple : sequence.Kind;
                return new Sequence(kind, Picked(sequence.Items));
            case string text when HasPairs(text):
                return string.Concat(Picked(Python.Characters(text)));
            case string text:
                var (from, count, by) = Python.Slice(start, stop, step, text.Length);
                return by == 1 ? text.Substring(from, count) : string.Create(count, (text, from, by), static (to, source) =>
                {
                    for (var i = 0; i < to.Length; i++)
                        to[i] = source.text[source.from + i * source.by];
                });
            default:
                return Missing(value, "slice");
        }

        object? Part(Expression? part) => part is null ? null : Evaluate(part, scope);

        List<object?> Picked(IReadOnlyList<object?> items)
        {
            var (first, number, step1) = Python.Slice(start, stop, step, items.Count);
            return [.. Enumerable.Range(0, number).Select(i => items[first + i * step1])];
        }
    }

    private Arguments Arguments(ArgumentList list, Scope scope)
    {
        if (list == ArgumentList.Empty)
            return Tokenizers.Arguments.None;
        var positional = list.Positional.Select(argument => Evaluate(argument, scope)).ToList();
        var named = new Dictionary<string, object?>();
        foreach (var (name, argument) in list.Named)
            if (!named.TryAdd(name, Evaluate(argument, scope)))
                throw new TemplateError($"the argument '{name}' is given twice");
        if (list.More is { } more)
            positional.AddRange(Python.Iterate(Evaluate(more, scope)));
        if (list.MoreNamed is { } moreNamed)
            foreach (var (key, argument) in (Evaluate(moreNamed, scope) as Mapping ?? throw new TemplateError("** wants a dict")).Entries)
                if (!named.TryAdd(key as string ?? throw new TemplateError("** wants names as keys"), argument))
                    throw new TemplateError($"the argument '{key}' is given twice");
        return new Arguments(positional, named);
    }
}
