using System.Numerics;

namespace OnnxSteer.Tokenizers;

// The values of a template are Python's: null is None; bool, BigInteger, double and string stand for themselves;
// the rest are the types below. All are immutable save Namespace: templates run in Jinja's immutable sandbox.

/// <summary>A name, attribute or item that is not there: it prints as nothing, is false and empty, and fails when used otherwise.</summary>
internal sealed record Undefined(string Reason)
{
    public TemplateError Error() => new(Reason);
}

internal enum SequenceKind
{
    List,
    Tuple,
    Group,
    Range,
    Keys,
    Values,
    Items,

    /// <summary>What most filters return: always true, without length, and empty once it was gone through.</summary>
    Generator,
}

/// <summary>Items in order.</summary>
internal sealed class Sequence
{
    private IReadOnlyList<object?> items;

    public Sequence(SequenceKind kind, IReadOnlyList<object?> items)
    {
        Kind = kind;
        this.items = items;
        (Size, Depth) = Structure.Of(items);
    }

    public SequenceKind Kind { get; }

    /// <summary>All values that this holds, those inside others included, as often as they occur.</summary>
    public int Size { get; }

    public int Depth { get; }

    /// <summary>The items; a generator is empty afterwards.</summary>
    public IReadOnlyList<object?> Items
    {
        get
        {
            var all = items;
            if (Kind == SequenceKind.Generator)
                items = [];
            return all;
        }
    }

    public bool HasLength => Kind != SequenceKind.Generator;

    public bool HasIndex => Kind is SequenceKind.List or SequenceKind.Tuple or SequenceKind.Group or SequenceKind.Range;

    public bool IsTuple => Kind is SequenceKind.Tuple or SequenceKind.Group;

    public static Sequence List(IReadOnlyList<object?> items) => new(SequenceKind.List, items);

    public static Sequence Tuple(params IReadOnlyList<object?> items) => new(SequenceKind.Tuple, items);

    public static Sequence Generator(IReadOnlyList<object?> items) => new(SequenceKind.Generator, items);
}

/// <summary>A dict: entries in the order of their insertion.</summary>
internal sealed class Mapping
{
    private readonly Dictionary<MappingKey, int> places = [];
    private readonly List<KeyValuePair<object?, object?>> entries = [];

    public Mapping(IEnumerable<KeyValuePair<object?, object?>> entries)
    {
        foreach (var (key, value) in entries)
        {
            if (places.TryGetValue(new MappingKey(key), out var place))
                this.entries[place] = KeyValuePair.Create(this.entries[place].Key, value);
            else
            {
                places[new MappingKey(key)] = this.entries.Count;
                this.entries.Add(KeyValuePair.Create(key, value));
            }
        }
        (Size, Depth) = Structure.Of(this.entries.SelectMany(entry => new[] { entry.Key, entry.Value }));
    }

    public IReadOnlyList<KeyValuePair<object?, object?>> Entries => entries;

    public int Size { get; }

    public int Depth { get; }

    public bool TryGet(object? key, out object? value)
    {
        var found = places.TryGetValue(new MappingKey(key), out var place);
        value = found ? entries[place].Value : null;
        return found;
    }

    public Sequence Keys() => new(SequenceKind.Keys, [.. entries.Select(entry => entry.Key)]);

    public Sequence Items() => new(SequenceKind.Items, [.. entries.Select(entry => Sequence.Tuple(entry.Key, entry.Value))]);
}

/// <summary>A value as key of a dict.</summary>
internal readonly record struct MappingKey(object? Value)
{
    public bool Equals(MappingKey other) => Python.AreEqual(Value, other.Value);

    public override int GetHashCode() => Python.Hash(Value);
}

/// <summary>What <c>namespace(…)</c> makes: the only thing whose attributes can be set.</summary>
internal sealed class Namespace(Dictionary<string, object?> attributes)
{
    public Dictionary<string, object?> Attributes { get; } = attributes;
}

/// <summary>A function, macro or method.</summary>
internal sealed class Callable(string name, Func<Arguments, object?> body)
{
    public string Name => name;

    public object? Invoke(Arguments arguments) => body(arguments);
}

/// <summary>What a call passes on.</summary>
internal sealed record Arguments(IReadOnlyList<object?> Positional, IReadOnlyDictionary<string, object?> Named)
{
    public static readonly Arguments None = new([], new Dictionary<string, object?>());

    /// <summary>Values of parameters in their order; <see cref="Bound.Has"/> says which were given.</summary>
    public Bound Bind(string function, params ReadOnlySpan<string> parameters)
    {
        if (Positional.Count > parameters.Length)
            throw new TemplateError($"{function} takes at most {parameters.Length} arguments, {Positional.Count} were given");
        var values = new object?[parameters.Length];
        var given = new bool[parameters.Length];
        for (var i = 0; i < Positional.Count; i++)
            (values[i], given[i]) = (Positional[i], true);
        foreach (var (name, value) in Named)
        {
            var place = parameters.IndexOf(name);
            if (place < 0)
                throw new TemplateError($"{function} has no argument '{name}'");
            if (given[place])
                throw new TemplateError($"{function} got its argument '{name}' twice");
            (values[place], given[place]) = (value, true);
        }
        return new Bound(function, values, given);
    }
}

/// <summary>Arguments by the number of their parameter.</summary>
internal sealed record Bound(string Function, object?[] Values, bool[] Given)
{
    public object? this[int place] => Given[place] ? Values[place] : throw new TemplateError($"{Function} lacks its argument {place + 1}");

    public bool Has(int place) => Given[place];

    public object? Or(int place, object? standard) => Given[place] ? Values[place] : standard;

    public string Text(int place) => this[place] as string ?? throw new TemplateError($"{Function} takes a string as argument {place + 1}, not {Python.TypeOf(this[place])}");

    public string Text(int place, string standard) => Given[place] ? Text(place) : standard;

    public int Number(int place, int standard) => Given[place] ? Python.Int(Values[place], Function) : standard;

    public bool Flag(int place, bool standard = false) => Given[place] ? Python.IsTrue(Values[place]) : standard;
}

/// <summary>How large nested values are. Values share parts, so that few steps make one that takes for ever to go through.</summary>
internal static class Structure
{
    public const int MaximumSize = 1 << 22;
    public const int MaximumDepth = 200;

    public static int SizeOf(object? value) => value switch
    {
        Sequence sequence => sequence.Size,
        Mapping mapping => mapping.Size,
        string text => 1 + text.Length / 16,
        BigInteger number => 1 + (int)(number.GetBitLength() / 64),
        _ => 1,
    };

    public static (int Size, int Depth) Of(IEnumerable<object?> items)
    {
        var (size, depth) = (1L, 0);
        foreach (var item in items)
        {
            size += SizeOf(item);
            depth = Math.Max(depth, item switch { Sequence sequence => sequence.Depth, Mapping mapping => mapping.Depth, _ => 0 });
        }
        if (size > MaximumSize)
            throw new TemplateError($"a value of more than {MaximumSize} items; the template makes too large ones");
        return depth < MaximumDepth ? ((int)size, depth + 1) : throw new TemplateError($"lists are nested more than {MaximumDepth} deep");
    }
}
