using System.Collections.Immutable;

namespace OnnxSteer.Tokenizers;

/// <summary>Reads tokens into statements, by Jinja's grammar.</summary>
internal sealed partial class TemplateParser
{
    private readonly List<TemplateToken> tokens;
    private readonly int maximumDepth;
    private int at;
    private int depth;
    private int loops;

    // Where a part may never be reached, Jinja complains of unknown filters and tests only when it is.
    private bool isOptional;
    private readonly List<TemplateError> unknown = [];

    private TemplateParser(List<TemplateToken> tokens, int maximumDepth) => (this.tokens, this.maximumDepth) = (tokens, maximumDepth);

    /// <exception cref="TemplateError">The template is broken, nests too deep, or has a statement, filter or test that is not known.</exception>
    public static ImmutableArray<Statement> Parse(string template, TemplateLimits limits)
    {
        if (template.Length > limits.Characters)
            throw new TemplateError($"a template of {template.Length} characters; at most {limits.Characters} are taken");
        return new TemplateParser(TemplateLexer.Read(template), limits.Depth).Body([]);
    }

    private TemplateToken Current => tokens[at];

    private TemplateToken Next() => tokens[at].Kind == TemplateTokenKind.End ? tokens[at] : tokens[at++];

    private bool Skip(string text)
    {
        if (!Current.Is(text))
            return false;
        at++;
        return true;
    }

    private TemplateToken Expect(TemplateTokenKind kind, string what)
    {
        var token = Next();
        return token.Kind == kind ? token : throw new TemplateError($"unexpected {token.Shown}, expected {what}", token.Line);
    }

    private void Expect(string text)
    {
        if (!Skip(text))
            throw new TemplateError($"unexpected {Current.Shown}, expected '{text}'", Current.Line);
    }

    private string Name() => Expect(TemplateTokenKind.Name, "a name").Text;

    private void EndStatement() => Expect(TemplateTokenKind.StatementEnd, "end of statement block");

    private T Nested<T>(Func<T> read)
    {
        if (++depth > maximumDepth || !System.Runtime.CompilerServices.RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new TemplateError($"the template nests more than {Math.Min(depth, maximumDepth)} deep", Current.Line);
        var value = read();
        depth--;
        return value;
    }

    // Up to a statement of one of the names, whose name is the current token then; or up to the end.
    private ImmutableArray<Statement> Body(ReadOnlySpan<string> ends)
    {
        var statements = ImmutableArray.CreateBuilder<Statement>();
        while (Current.Kind != TemplateTokenKind.End)
        {
            var token = Next();
            switch (token.Kind)
            {
                case TemplateTokenKind.Text:
                    statements.Add(new TextOutput(token.Text, token.Line));
                    break;
                case TemplateTokenKind.OutputBegin:
                    statements.Add(new Output(Tuple(), token.Line));
                    Expect(TemplateTokenKind.OutputEnd, "end of print statement");
                    break;
                default:
                    if (Current.Kind == TemplateTokenKind.Name && ends.Contains(Current.Text))
                        return statements.ToImmutable();
                    statements.Add(Nested(ReadStatement));
                    EndStatement();
                    break;
            }
        }
        return ends.IsEmpty ? statements.ToImmutable() : throw new TemplateError($"unexpected end of template, expected '{ends[^1]}'", Current.Line);
    }

    // The body and the end of a block, up to its closing token.
    private ImmutableArray<Statement> Block(string end)
    {
        EndStatement();
        var body = Body([end]);
        Next();
        return body;
    }

    private T Optional<T>(bool optional, Func<T> read)
    {
        var before = isOptional;
        isOptional = optional;
        var value = read();
        isOptional = before;
        return value;
    }

    private Statement ReadStatement()
    {
        var token = Expect(TemplateTokenKind.Name, "a statement");
        var line = token.Line;
        switch (token.Text)
        {
            case "if":
                return Optional(true, () => ReadIf(line));
            case "for":
                return Optional(false, () => ReadFor(line));
            case "set":
                return ReadSet(line);
            case "macro":
                return Optional(false, () => Without(() => ReadMacro(Name(), "endmacro", line)));
            case "call":
                return Optional(false, () => ReadCallBlock(line));
            case "filter":
                return Optional(false, () => new FilterBlock(FilterChain(null) as Filtered ?? throw Unexpected(), Block("endfilter"), line));
            case "with":
                return Optional(false, () => ReadWith(line));
            case "generation":
                return Optional(false, () => new Generation(Without(() => Block("endgeneration")), line));
            case "print":
                return new Output(Tuple(), line);
            case "break" or "continue":
                return loops > 0 ? new Leave(token.Text == "break", line) : throw new TemplateError($"'{token.Text}' outside of a loop", line);
            case "block" or "extends" or "include" or "import" or "from" or "autoescape" or "do" or "trans" or "debug":
                throw new TemplateError($"the statement '{token.Text}' is not supported", line);
            default:
                throw new TemplateError($"unknown statement '{token.Text}'", line);
        }
    }

    private TemplateError Unexpected() => new($"unexpected {Current.Shown}", Current.Line);

    // The body of a macro is in no loop of those around it.
    private T Without<T>(Func<T> read)
    {
        var before = loops;
        loops = 0;
        var value = read();
        loops = before;
        return value;
    }

    private If ReadIf(int line)
    {
        var branches = ImmutableArray.CreateBuilder<(Expression, ImmutableArray<Statement>)>();
        while (true)
        {
            var test = Tuple(isConditional: false);
            EndStatement();
            branches.Add((test, Body(["elif", "else", "endif"])));
            var end = Next();
            if (end.Text == "elif")
                continue;
            return new If(branches.ToImmutable(), end.Text == "else" ? Block("endif") : [], line);
        }
    }

    private For ReadFor(int line)
    {
        var target = ReadTarget(isAttribute: false);
        Expect("in");
        var over = Tuple(isConditional: false, end: "recursive");
        var where = Skip("if") ? ReadExpression() : null;
        var isRecursive = Skip("recursive");
        EndStatement();
        loops++;
        var body = Body(["else", "endfor"]);
        loops--;
        return new For(target, over, where, isRecursive, body, Next().Text == "else" ? Block("endfor") : [], line);
    }

    private Statement ReadSet(int line)
    {
        var target = ReadTarget(isAttribute: true);
        if (Skip("="))
            return new Set(target, Tuple(), line);
        var filter = FilterChain(null, begins: false) as Filtered;
        return Optional(false, () => new SetBlock(target, filter, Block("endset"), line));
    }

    private With ReadWith(int line)
    {
        var values = ImmutableArray.CreateBuilder<(Target, Expression)>();
        while (Current.Kind != TemplateTokenKind.StatementEnd)
        {
            if (values.Count > 0)
                Expect(",");
            var target = ReadTarget(isAttribute: false, isTuple: false);
            Expect("=");
            values.Add((target, ReadExpression()));
        }
        return new With(values.ToImmutable(), Block("endwith"), line);
    }

    private Macro ReadMacro(string name, string end, int line)
    {
        var (parameters, standards) = Current.Is("(") ? Signature() : ([], []);
        var start = at;
        var body = Block(end);
        var used = tokens.Skip(start).Take(at - start).Where(token => token.Kind == TemplateTokenKind.Name).Select(token => token.Text).ToHashSet();
        return new Macro(name, parameters, standards, body, line)
        {
            TakesMore = used.Contains("varargs"),
            TakesMoreNamed = used.Contains("kwargs"),
            TakesCaller = used.Contains("caller") && !parameters.Contains("caller"),
        };
    }

    private (ImmutableArray<string> Parameters, ImmutableArray<Expression?> Standards) Signature()
    {
        var (parameters, standards) = (ImmutableArray.CreateBuilder<string>(), ImmutableArray.CreateBuilder<Expression?>());
        Expect("(");
        while (!Current.Is(")"))
        {
            if (parameters.Count > 0)
                Expect(",");
            parameters.Add(Name());
            standards.Add(Skip("=") ? ReadExpression() : null);
            if (standards.Count > 1 && standards[^1] is null && standards[^2] is not null)
                throw new TemplateError("a parameter without default follows one with a default", Current.Line);
        }
        Expect(")");
        return (parameters.ToImmutable(), standards.ToImmutable());
    }

    private CallBlock ReadCallBlock(int line)
    {
        var (parameters, standards) = Current.Is("(") ? Signature() : ([], []);
        var call = ReadExpression() as Call ?? throw new TemplateError("'call' wants a call", line);
        var caller = Without(() => ReadMacro("caller", "endcall", line));
        return new CallBlock(call, caller with { Parameters = parameters, Standards = standards }, line);
    }

    private Target ReadTarget(bool isAttribute, bool isTuple = true)
    {
        var parts = ImmutableArray.CreateBuilder<Target>();
        var isOne = true;
        do
        {
            if (parts.Count > 0 && (Current.Is("in") || Current.Is("=") || Current.Is(")")))
                break;
            if (Skip("("))
            {
                parts.Add(Nested(() => ReadTarget(isAttribute)));
                Expect(")");
            }
            else
            {
                var line = Current.Line;
                var name = Name();
                if (name is "true" or "false" or "none" or "True" or "False" or "None" or "in" || name == "loop" && !isAttribute)
                    throw new TemplateError($"'{name}' cannot be assigned to", line);
                parts.Add(isAttribute && Skip(".") ? new AttributeTarget(name, Name()) : new NameTarget(name));
            }
            isOne &= !Current.Is(",");
        }
        while (isTuple && Skip(","));
        return isOne ? parts[0] : new TupleTarget(parts.ToImmutable());
    }
}
