using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>Names and what they stand for, within those around.</summary>
internal sealed class Scope(Scope? outer)
{
    private readonly Dictionary<string, object?> values = [];

    public void Set(string name, object? value) => values[name] = value;

    public bool TryGet(string name, out object? value)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
            if (scope.values.TryGetValue(name, out value))
                return true;
        value = null;
        return false;
    }

    private Scope? Outer => outer;
}

/// <summary>Renders statements; one evaluator renders once.</summary>
internal sealed partial class TemplateEvaluator(TemplateLimits limits)
{
    private readonly List<(int Start, int End)> generations = [];
    private StringBuilder output = new();
    private long steps;
    private int depth;
    private int captures;
    private Leaving leaving;

    private enum Leaving
    {
        No,
        Break,
        Continue,
    }

    /// <summary>The line of what is evaluated now.</summary>
    public int Line { get; private set; }

    public TemplateLimits Limits => limits;

    /// <summary>The text, and where in it the generation blocks are.</summary>
    public (string Text, ImmutableArray<(int Start, int End)> Generations) Render(ImmutableArray<Statement> template, IEnumerable<KeyValuePair<string, object?>> variables)
    {
        var globals = new Scope(null);
        foreach (var (name, value) in TemplateGlobals.All)
            globals.Set(name, value);
        foreach (var (name, value) in variables)
            globals.Set(name, value);
        Run(template, new Scope(globals));
        return (output.ToString(), [.. generations]);
    }

    /// <summary>Counts work that the size of a value makes.</summary>
    public void Charge(long work)
    {
        steps += work;
        if (steps > limits.Steps)
            throw new TemplateError($"the template takes more than {limits.Steps} steps");
    }

    /// <summary>Counts the work of looking for one text in another, which in the worst case is their product.</summary>
    public void ChargeSearch(string text, object? part) => Charge(part is string what ? text.Length / 16 * (1L + what.Length / 256) : 0);

    /// <summary>Makes sure of a text before it is made.</summary>
    public void Room(long characters)
    {
        if (characters > limits.Characters)
            throw new TemplateError($"the template makes a text of more than {limits.Characters} characters");
        Charge(characters / 16);
    }

    private void Write(string text)
    {
        if (output.Length + (long)text.Length > limits.Characters)
            throw new TemplateError($"the template makes a text of more than {limits.Characters} characters");
        Charge(text.Length / 16);
        output.Append(text);
    }

    private void Enter(TemplateNode node)
    {
        Line = node.Line;
        Charge(1);
        if (++depth > limits.Depth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new TemplateError($"the template nests more than {Math.Min(depth, limits.Depth)} deep");
    }

    private void Run(ImmutableArray<Statement> statements, Scope scope)
    {
        foreach (var statement in statements)
        {
            Enter(statement);
            Run(statement, scope);
            depth--;
            if (leaving != Leaving.No)
                return;
        }
    }

    private void Run(Statement statement, Scope scope)
    {
        switch (statement)
        {
            case TextOutput text:
                Write(text.Text);
                break;
            case Output print:
                Write(Text(Evaluate(print.Value, scope)));
                break;
            case If branches:
                foreach (var (test, body) in branches.Branches)
                    if (Python.IsTrue(Evaluate(test, scope)))
                    {
                        Run(body, scope);
                        return;
                    }
                Run(branches.Else, scope);
                break;
            case For loop:
                Run(loop, Evaluate(loop.Over, scope), scope, level: 0);
                break;
            case Leave leave:
                leaving = leave.IsBreak ? Leaving.Break : Leaving.Continue;
                break;
            case Set set:
                Assign(set.Target, Evaluate(set.Value, scope), scope);
                break;
            case SetBlock set:
                object? content = Capture(() => Run(set.Body, new Scope(scope)));
                Assign(set.Target, set.Filter is null ? content : Filter(set.Filter, content, scope), scope);
                break;
            case With with:
                var inner = new Scope(scope);
                foreach (var (target, value) in with.Values)
                    Assign(target, Evaluate(value, scope), inner);
                Run(with.Body, inner);
                break;
            case Macro macro:
                scope.Set(macro.Name, Function(macro, scope));
                break;
            case CallBlock block:
                var arguments = Arguments(block.Call.Arguments, scope);
                var named = new Dictionary<string, object?>(arguments.Named) { ["caller"] = Function(block.Caller, scope) };
                Write(Text(Invoke(Evaluate(block.Call.Of, scope), arguments with { Named = named })));
                break;
            case FilterBlock block:
                Write(Text(Filter(block.Filter, Capture(() => Run(block.Body, new Scope(scope))), scope)));
                break;
            case Generation generation:
                var start = output.Length;
                Run(generation.Body, new Scope(scope));
                // Within a macro or a block that is set, the place in the whole is not known.
                if (captures == 0)
                    generations.Add((start, output.Length));
                break;
            default:
                throw new InvalidOperationException($"{statement.GetType().Name} has no meaning.");
        }
    }

    private void Run(For loop, object? over, Scope scope, int level)
    {
        var items = Python.Iterate(over);
        Charge(items.Count);
        if (loop.Where is { } where)
            items = [.. items.Where(item =>
            {
                var candidate = new Scope(scope);
                Assign(loop.Target, item, candidate);
                return Python.IsTrue(Evaluate(where, candidate));
            })];
        if (items.Count == 0)
        {
            Run(loop.Else, new Scope(scope));
            return;
        }
        var state = new LoopState(items, level, loop.IsRecursive ? deeper => Capture(() => Run(loop, deeper, scope, level + 1)) : null);
        for (; state.Index0 < items.Count; state.Index0++)
        {
            Charge(1);
            var inner = new Scope(scope);
            inner.Set("loop", state);
            Assign(loop.Target, items[state.Index0], inner);
            Run(loop.Body, inner);
            var left = leaving;
            leaving = Leaving.No;
            if (left == Leaving.Break)
                break;
        }
    }

    private string Capture(Action run)
    {
        var before = output;
        output = new StringBuilder();
        captures++;
        run();
        captures--;
        var text = output.ToString();
        output = before;
        return text;
    }

    private Callable Function(Macro macro, Scope scope) => new(macro.Name, arguments =>
    {
        var inner = new Scope(scope);
        var named = new Dictionary<string, object?>(arguments.Named);
        var caller = named.Remove("caller", out var block) ? block : null;
        if (caller is not null && !macro.TakesCaller && !macro.Parameters.Contains("caller"))
            throw new TemplateError($"the macro '{macro.Name}' takes no caller");
        foreach (var (i, name) in macro.Parameters.Index())
        {
            if (i < arguments.Positional.Count)
                inner.Set(name, named.Remove(name) ? throw new TemplateError($"the macro '{macro.Name}' got its argument '{name}' twice") : arguments.Positional[i]);
            else if (named.Remove(name, out var value))
                inner.Set(name, value);
            else
                inner.Set(name, name == "caller" && caller is not null ? caller
                    : macro.Standards[i] is { } standard ? Evaluate(standard, inner) : new Undefined($"parameter '{name}' was not provided"));
        }
        if (macro.TakesCaller)
            inner.Set("caller", caller ?? new Undefined("No caller defined"));
        var more = arguments.Positional.Skip(macro.Parameters.Length).ToList();
        if (macro.TakesMore)
            inner.Set("varargs", Sequence.Tuple(more));
        else if (more.Count > 0)
            throw new TemplateError($"the macro '{macro.Name}' takes not more than {macro.Parameters.Length} arguments");
        if (macro.TakesMoreNamed)
            inner.Set("kwargs", new Mapping(named.Select(entry => KeyValuePair.Create((object?)entry.Key, entry.Value))));
        else if (named.Count > 0)
            throw new TemplateError($"the macro '{macro.Name}' has no argument '{named.Keys.First()}'");
        return Capture(() => Run(macro.Body, inner));
    });

    private static void Assign(Target target, object? value, Scope scope)
    {
        switch (target)
        {
            case NameTarget name:
                scope.Set(name.Name, value);
                break;
            case AttributeTarget attribute:
                if (!scope.TryGet(attribute.Name, out var owner) || owner is not Namespace space)
                    throw new TemplateError($"cannot assign to '{attribute.Name}.{attribute.Attribute}': only the attributes of a namespace can be set");
                space.Attributes[attribute.Attribute] = value;
                break;
            case TupleTarget parts:
                var items = Python.Iterate(value);
                if (items.Count != parts.Parts.Length)
                    throw new TemplateError($"{items.Count} values for {parts.Parts.Length} names");
                foreach (var (part, item) in parts.Parts.Zip(items))
                    Assign(part, item, scope);
                break;
        }
    }
}

/// <summary><c>loop</c>: where a loop is.</summary>
internal sealed class LoopState(IReadOnlyList<object?> items, int level, Func<object?, string>? recurse)
{
    private object? changed = new();

    public int Index0 { get; set; }

    public object? this[string name] => name switch
    {
        "index" => Number(Index0 + 1),
        "index0" => Number(Index0),
        "revindex" => Number(items.Count - Index0),
        "revindex0" => Number(items.Count - Index0 - 1),
        "length" => Number(items.Count),
        "first" => Index0 == 0,
        "last" => Index0 == items.Count - 1,
        "depth" => Number(level + 1),
        "depth0" => Number(level),
        "previtem" => Index0 > 0 ? items[Index0 - 1] : new Undefined("there is no previous item"),
        "nextitem" => Index0 + 1 < items.Count ? items[Index0 + 1] : new Undefined("there is no next item"),
        "cycle" => new Callable("cycle", arguments => arguments.Positional.Count > 0 ? arguments.Positional[Index0 % arguments.Positional.Count]
            : throw new TemplateError("no items for cycling given")),
        "changed" => new Callable("changed", arguments =>
        {
            var now = Sequence.Tuple(arguments.Positional);
            var isNew = !Python.AreEqual(changed, now);
            changed = now;
            return isNew;
        }),
        _ => new Undefined($"'loop' has no attribute '{name}'"),
    };

    public string Recurse(Arguments arguments) => recurse is null ? throw new TemplateError("the loop must be marked 'recursive' to be called")
        : recurse(arguments.Bind("loop", "iterable")[0]);

    private static System.Numerics.BigInteger Number(int number) => new(number);
}
