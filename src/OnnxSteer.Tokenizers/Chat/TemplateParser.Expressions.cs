using System.Collections.Immutable;

namespace OnnxSteer.Tokenizers;

/// <summary>Expressions, from the loosest operator to the tightest.</summary>
internal sealed partial class TemplateParser
{
    // One expression, or several with commas between: a tuple without parentheses.
    private Expression Tuple(bool isConditional = true, string? end = null)
    {
        var line = Current.Line;
        var items = ImmutableArray.CreateBuilder<Expression>();
        var isTuple = false;
        while (true)
        {
            if (items.Count > 0)
            {
                if (!Skip(","))
                    break;
                isTuple = true;
            }
            if (items.Count > 0 && (IsTupleEnd() || end is not null && Current.Is(end)))
                break;
            var known = unknown.Count;
            items.Add(isConditional ? ReadExpression() : Nested(ReadOr));
            CheckNames(known);
        }
        return isTuple ? new SequenceLiteral(SequenceKind.Tuple, items.ToImmutable(), line) : items[0];
    }

    private void CheckNames(int known)
    {
        if (!isOptional && unknown.Count > known)
            throw unknown[known];
    }

    private bool IsTupleEnd() => Current.Kind is TemplateTokenKind.OutputEnd or TemplateTokenKind.StatementEnd || Current.Is(")");

    private Expression ReadExpression() => Nested(ReadConditional);

    private Expression ReadConditional()
    {
        // The value stands before the condition: only there it is known whether what it holds is optional.
        var known = unknown.Count;
        var value = Optional(true, ReadOr);
        if (!Current.Is("if"))
            CheckNames(known);
        while (Current.Is("if"))
        {
            var line = Next().Line;
            var test = Optional(true, ReadOr);
            value = new Conditional(test, value, Skip("else") ? Optional(true, ReadExpression) : null, line);
            if (!isOptional)
                unknown.RemoveRange(known, unknown.Count - known);
        }
        return value;
    }

    private Expression ReadOr() => Chain(ReadAnd, token => token.Is("or"), (_, left, right, line) => new Junction(false, left, right, line));

    private Expression ReadAnd() => Chain(ReadNot, token => token.Is("and"), (_, left, right, line) => new Junction(true, left, right, line));

    private Expression ReadNot()
    {
        if (!Current.Is("not"))
            return ReadComparison();
        var line = Next().Line;
        return new Negation(Nested(ReadNot), line);
    }

    private Expression ReadComparison()
    {
        var first = ReadSum();
        var rest = ImmutableArray.CreateBuilder<(string, Expression)>();
        while (true)
        {
            if (Current.Kind == TemplateTokenKind.Operator && Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=" || Current.Is("in"))
                rest.Add((Next().Text, ReadSum()));
            else if (Current.Is("not") && tokens[at + 1].Is("in"))
            {
                at += 2;
                rest.Add(("not in", ReadSum()));
            }
            else
                return rest.Count == 0 ? first : new Comparison(first, rest.ToImmutable(), first.Line);
        }
    }

    private Expression ReadSum() => Operation(ReadConcatenation, "+", "-");

    private Expression ReadConcatenation()
    {
        var first = ReadProduct();
        if (!Current.Is("~"))
            return first;
        var parts = ImmutableArray.CreateBuilder<Expression>();
        parts.Add(first);
        while (Skip("~"))
            parts.Add(ReadProduct());
        return new Concatenation(parts.ToImmutable(), first.Line);
    }

    private Expression ReadProduct() => Operation(ReadPower, "*", "/", "//", "%");

    // From the left, as Jinja does and Python does not.
    private Expression ReadPower() => Operation(() => ReadUnary(), "**");

    private Expression Operation(Func<Expression> operand, params string[] signs) =>
        Chain(operand, token => token.Kind == TemplateTokenKind.Operator && signs.Contains(token.Text), (sign, left, right, line) => new Arithmetic(sign, left, right, line));

    private Expression Chain(Func<Expression> operand, Func<TemplateToken, bool> continues, Func<string, Expression, Expression, int, Expression> join)
    {
        var left = operand();
        while (continues(Current))
        {
            var sign = Next();
            left = join(sign.Text, left, operand(), sign.Line);
        }
        return left;
    }

    private Expression ReadUnary(bool isFiltered = true)
    {
        var token = Current;
        Expression value;
        if (token.Kind == TemplateTokenKind.Operator && token.Text is "-" or "+")
        {
            Next();
            value = new Signed(token.Text == "-", Nested(() => ReadUnary(isFiltered: false)), token.Line);
        }
        else
            value = ReadPrimary();
        value = ReadPostfix(value);
        return isFiltered ? FilterChain(value)! : value;
    }

    private Expression ReadPrimary()
    {
        var token = Next();
        switch (token.Kind)
        {
            case TemplateTokenKind.Name:
                return token.Text switch
                {
                    "true" or "True" => new Constant(true, token.Line),
                    "false" or "False" => new Constant(false, token.Line),
                    "none" or "None" => new Constant(null, token.Line),
                    _ => new Variable(token.Text, token.Line),
                };
            case TemplateTokenKind.String:
                var text = (string)token.Value!;
                if (Current.Kind == TemplateTokenKind.String)
                {
                    var all = new System.Text.StringBuilder(text);
                    while (Current.Kind == TemplateTokenKind.String)
                        all.Append((string)Next().Value!);
                    text = all.ToString();
                }
                return new Constant(text, token.Line);
            case TemplateTokenKind.Number:
                return new Constant(token.Value, token.Line);
            case TemplateTokenKind.Operator when token.Text == "(":
                if (Skip(")"))
                    return new SequenceLiteral(SequenceKind.Tuple, [], token.Line);
                var inner = Tuple();
                Expect(")");
                return inner;
            case TemplateTokenKind.Operator when token.Text == "[":
                return new SequenceLiteral(SequenceKind.List, Items("]", ReadExpression), token.Line);
            case TemplateTokenKind.Operator when token.Text == "{":
                return new MappingLiteral(Items("}", () =>
                {
                    var key = ReadExpression();
                    Expect(":");
                    return (key, ReadExpression());
                }), token.Line);
            default:
                throw new TemplateError($"unexpected {token.Shown}, expected an expression", token.Line);
        }
    }

    private ImmutableArray<T> Items<T>(string end, Func<T> read)
    {
        var items = ImmutableArray.CreateBuilder<T>();
        while (!Skip(end))
        {
            if (items.Count > 0)
            {
                Expect(",");
                if (Skip(end))
                    break;
            }
            items.Add(read());
        }
        return items.ToImmutable();
    }

    private Expression ReadPostfix(Expression value)
    {
        while (true)
        {
            if (Current.Is("(") && Current.Kind == TemplateTokenKind.Operator)
                value = new Call(value, ReadArguments(), value.Line);
            else if (Skip("."))
            {
                var token = Next();
                value = token.Kind switch
                {
                    TemplateTokenKind.Name => new Member(value, token.Text, token.Line),
                    TemplateTokenKind.Number when token.Value is System.Numerics.BigInteger => new Item(value, new Constant(token.Value, token.Line), token.Line),
                    _ => throw new TemplateError($"unexpected {token.Shown}, expected a name", token.Line),
                };
            }
            else if (Skip("["))
            {
                var items = Items("]", ReadSubscript);
                if (items.IsEmpty)
                    throw new TemplateError("an index is missing in '[]'", Current.Line);
                value = new Item(value, items.Length == 1 ? items[0] : new SequenceLiteral(SequenceKind.Tuple, items, value.Line), value.Line);
            }
            else
                return value;
        }
    }

    private Expression ReadSubscript()
    {
        var line = Current.Line;
        Expression?[] parts = [null, null, null];
        var part = 0;
        while (true)
        {
            if (Skip(":"))
            {
                if (++part > 2)
                    throw new TemplateError("a slice has three parts at most", line);
            }
            else if (Current.Is("]") || Current.Is(","))
                return part == 0 && parts[0] is { } index ? index : part > 0 ? new Slice(parts[0], parts[1], parts[2], line) : throw Unexpected();
            else if (parts[part] is null)
                parts[part] = ReadExpression();
            else
                throw Unexpected();
        }
    }

    private ArgumentList ReadArguments()
    {
        var positional = ImmutableArray.CreateBuilder<Expression>();
        var named = ImmutableArray.CreateBuilder<(string, Expression)>();
        Expression? more = null, moreNamed = null;
        Expect("(");
        _ = Items(")", () =>
        {
            if (Skip("*"))
                more = more is null ? ReadExpression() : throw Unexpected();
            else if (Skip("**"))
                moreNamed = moreNamed is null ? ReadExpression() : throw Unexpected();
            else if (Current.Kind == TemplateTokenKind.Name && tokens[at + 1].Is("="))
            {
                var name = Name();
                Expect("=");
                named.Add((name, ReadExpression()));
            }
            else if (named.Count > 0 || more is not null || moreNamed is not null)
                throw new TemplateError("a positional argument follows a named one", Current.Line);
            else
                positional.Add(ReadExpression());
            return 0;
        });
        return new ArgumentList(positional.ToImmutable(), named.ToImmutable(), more, moreNamed);
    }

    // Filters, tests and calls behind a value; of nothing, filters only.
    private Expression? FilterChain(Expression? value, bool begins = true)
    {
        var isBlock = value is null;
        for (var isFirst = isBlock && begins; ; isFirst = false)
        {
            if (isFirst || Current.Is("|"))
            {
                var line = isFirst ? Current.Line : Next().Line;
                var name = DottedName();
                if (!TemplateFilters.Has(name))
                    unknown.Add(TemplateFilters.Unknown(name, line));
                value = new Filtered(value, name, Current.Is("(") ? ReadArguments() : ArgumentList.Empty, line);
            }
            else if (!isBlock && Current.Is("is"))
                value = ReadTest(value!);
            else if (!isBlock && Current.Is("("))
                value = new Call(value!, ReadArguments(), value!.Line);
            else
                return value;
        }
    }

    private Expression ReadTest(Expression value)
    {
        var line = Next().Line;
        var isNegated = Skip("not");
        var name = DottedName();
        if (!TemplateTests.Has(name))
            unknown.Add(TemplateTests.Unknown(name, line));
        var arguments = ArgumentList.Empty;
        if (Current.Is("("))
            arguments = ReadArguments();
        else if (Current.Kind is TemplateTokenKind.Name or TemplateTokenKind.String or TemplateTokenKind.Number || Current.Is("[") || Current.Is("{"))
        {
            if (Current.Is("is"))
                throw new TemplateError("tests cannot be chained with 'is'", line);
            if (!(Current.Is("else") || Current.Is("or") || Current.Is("and")))
                arguments = ArgumentList.Empty with { Positional = [ReadPostfix(ReadPrimary())] };
        }
        var test = new Tested(value, name, arguments, line);
        return isNegated ? new Negation(test, line) : test;
    }

    private string DottedName()
    {
        var name = Name();
        while (Skip("."))
            name += "." + Name();
        return name;
    }
}
