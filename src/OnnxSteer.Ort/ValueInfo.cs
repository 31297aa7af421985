namespace OnnxSteer.Ort;

/// <summary>What kind of thing a value is (<c>ONNXType</c>).</summary>
public enum ValueKind
{
    /// <summary>Not known.</summary>
    Unknown = 0,

    /// <summary>A dense tensor.</summary>
    Tensor = 1,

    /// <summary>A list of values of one type.</summary>
    Sequence = 2,

    /// <summary>Keys and values, as two tensors.</summary>
    Map = 3,

    /// <summary>Known to a custom operator only.</summary>
    Opaque = 4,

    /// <summary>A sparse tensor.</summary>
    SparseTensor = 5,

    /// <summary>A value that may be absent.</summary>
    Optional = 6,
}

/// <summary>One dimension of a shape as a model declares it: a number, a name, or neither.</summary>
/// <param name="Size">The number, or null where it depends on the run.</param>
/// <param name="Name">The symbolic name, or null. Dimensions of one name have one size in a run.</param>
public readonly record struct Dimension(long? Size, string? Name)
{
    /// <summary>The number, the name, or "?".</summary>
    public override string ToString() => Size?.ToString() ?? Name ?? "?";
}

/// <summary>The type of a value as a model declares it.</summary>
/// <param name="Kind">Tensor, sequence, map or optional.</param>
public sealed record TypeInfo(ValueKind Kind)
{
    /// <summary>A tensor's element type; a map's keys' type; otherwise undefined.</summary>
    public ElementType ElementType { get; init; }

    /// <summary>A tensor's dimensions; empty for a scalar, for an unknown rank, and for what is no tensor.</summary>
    public IReadOnlyList<Dimension> Dimensions { get; init; } = [];

    /// <summary>The type of a sequence's elements, an optional's content, or a map's values; otherwise null.</summary>
    public TypeInfo? Element { get; init; }

    /// <summary>For people: <c>Float[batch,16]</c>, <c>Sequence(Int64[?])</c>.</summary>
    public override string ToString() => Kind switch
    {
        ValueKind.Tensor => $"{ElementType}[{string.Join(",", Dimensions)}]",
        ValueKind.Map => $"Map({ElementType}, {Element})",
        _ => Element is null ? Kind.ToString() : $"{Kind}({Element})",
    };
}

/// <summary>An input, an output or an overridable initializer of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its declared type.</param>
public sealed record ValueInfo(string Name, TypeInfo Type)
{
    /// <summary>Tensor, sequence, map or optional.</summary>
    public ValueKind Kind => Type.Kind;

    /// <summary>A tensor's element type.</summary>
    public ElementType ElementType => Type.ElementType;

    /// <summary>A tensor's dimensions.</summary>
    public IReadOnlyList<Dimension> Dimensions => Type.Dimensions;

    /// <summary>For people: <c>input_ids: Int64[batch,sequence]</c>.</summary>
    public override string ToString() => $"{Name}: {Type}";
}
