using System.Collections.Immutable;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>A graph input, output or annotated value (ValueInfoProto).</summary>
public sealed class ValueInfo
{
    internal ValueInfo(WireField field, string name, TypeProto? type) => (Field, Name, Type) = (field, name, type);

    /// <summary>The value's name.</summary>
    public string Name { get; }

    /// <summary>Its type, where the model states one.</summary>
    public TypeProto? Type { get; }

    /// <summary>Element type of a tensor; undefined for anything else.</summary>
    public DataType DataType => (DataType)(Type?.TensorType?.ElemType ?? 0);

    /// <summary>Sizes of the axes: a number, or null where symbolic or unknown. Null where not even the rank is stated.</summary>
    public ImmutableArray<long?>? Dims => Type?.TensorType?.Shape?.Dim
        .Select(dim => dim.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue ? dim.DimValue : (long?)null).ToImmutableArray();

    internal WireField Field { get; }
}

/// <summary>A graph: the main one, the body of a control flow operator, or that of a function.</summary>
public sealed class Graph
{
    private readonly Lazy<Dictionary<string, Node>> _producers;
    private readonly Lazy<Dictionary<string, Tensor>> _initializers;
    private readonly Lazy<Dictionary<string, ValueInfo>> _infos;
    private readonly Lazy<ILookup<string, Node>> _consumers;
    private readonly Lazy<HashSet<string>> _freeNames;

    internal Graph(Model model, string path, Graph? outer)
    {
        (Model, Path, Outer) = (model, path, outer);
        _producers = new(IndexProducers);
        _initializers = new(() => FirstByName(Initializers, tensor => tensor.Name));
        _infos = new(() => FirstByName(Inputs.Concat(Outputs).Concat(ValueInfos), info => info.Name));
        _consumers = new(() => Nodes.SelectMany(node => node.Needs.Distinct(), (node, name) => (node, name)).ToLookup(use => use.name, use => use.node));
        _freeNames = new(CollectFreeNames);
    }

    /// <summary>The path of the model's own graph.</summary>
    public const string MainPath = "main";

    /// <summary>The model it belongs to.</summary>
    public Model Model { get; }

    /// <summary><c>main</c>, <c>main/NODE:attribute</c> for the body of a control flow node, <c>function/DOMAIN:NAME</c> for a function.</summary>
    public string Path { get; }

    /// <summary>The graph around, whose values can be captured; null for the main graph and functions.</summary>
    public Graph? Outer { get; }

    /// <summary>The graph's own name.</summary>
    public string Name { get; internal set; } = "";

    /// <summary>Nodes in file order.</summary>
    public ImmutableArray<Node> Nodes { get; internal set; } = [];

    /// <summary>Initializers in file order.</summary>
    public ImmutableArray<Tensor> Initializers { get; internal set; } = [];

    /// <summary>Names of sparse initializers, in file order.</summary>
    public ImmutableArray<string> SparseInitializers { get; internal set; } = [];

    /// <summary>Inputs in file order; before IR version 4, initializers are among them.</summary>
    public ImmutableArray<ValueInfo> Inputs { get; internal set; } = [];

    /// <summary>Outputs in file order.</summary>
    public ImmutableArray<ValueInfo> Outputs { get; internal set; } = [];

    /// <summary>Values whose type is stated besides.</summary>
    public ImmutableArray<ValueInfo> ValueInfos { get; internal set; } = [];

    /// <summary>Names read here or in subgraphs that nothing here defines.</summary>
    public IReadOnlyCollection<string> FreeNames => _freeNames.Value;

    /// <summary>Where the graph's message lies; several where the file holds it in pieces.</summary>
    internal ImmutableArray<Frame> Frames { get; set; } = [];

    /// <summary>The node that makes a value, or null.</summary>
    public Node? Producer(string value) => _producers.Value.GetValueOrDefault(value);

    /// <summary>The initializer of that name in this graph or one around it, or null.</summary>
    public Tensor? Initializer(string name) =>
        _initializers.Value.GetValueOrDefault(name) ?? (Defines(name) ? null : Outer?.Initializer(name));

    /// <summary>The initializer of that name, or the tensor of the <c>Constant</c> node that makes it, here or in a graph around; else null.</summary>
    public Tensor? Constant(string name)
    {
        if (_initializers.Value.TryGetValue(name, out var tensor))
            return tensor;
        if (Producer(name) is { } node)
            return node.OpType switch
            {
                "Constant" => node.Attribute("value")?.Tensor,
                "Identity" when node.Input(0) is { } source => Constant(source),
                _ => null,
            };
        return Outer?.Constant(name);
    }

    /// <summary>The nodes of this graph that read a value, themselves or in a subgraph.</summary>
    public IEnumerable<Node> Consumers(string value) => _consumers.Value[value];

    /// <summary>What the graph states of a value's type, or null.</summary>
    public ValueInfo? Info(string value) => _infos.Value.GetValueOrDefault(value);

    /// <summary>Whether the name is an input, an initializer or made by a node here.</summary>
    public bool Defines(string name) =>
        Producer(name) is not null || _initializers.Value.ContainsKey(name) || SparseInitializers.Contains(name) || Inputs.Any(input => input.Name == name);

    private Dictionary<string, Node> IndexProducers()
    {
        var producers = new Dictionary<string, Node>(Nodes.Length);
        foreach (var node in Nodes)
            foreach (var output in node.Outputs)
                if (output.Length > 0 && !producers.TryAdd(output, node))
                    throw new OnnxException($"{Model.Source.Name}: value '{output}' of graph '{Path}' is made by two nodes, {producers[output]} and {node}; a value has one producer.");
        return producers;
    }

    private HashSet<string> CollectFreeNames()
    {
        var names = new HashSet<string>(Nodes.SelectMany(node => node.Needs));
        names.UnionWith(Outputs.Select(output => output.Name));
        names.RemoveWhere(Defines);
        return names;
    }

    private static Dictionary<string, T> FirstByName<T>(IEnumerable<T> items, Func<T, string> name)
    {
        var found = new Dictionary<string, T>();
        foreach (var item in items)
            found.TryAdd(name(item), item);
        return found;
    }
}
