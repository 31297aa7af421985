using System.Collections.Immutable;
using System.Runtime.InteropServices;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>A graph input, output or annotated value (ValueInfoProto).</summary>
public sealed class ValueInfo
{
    private readonly Model? _model;

    /// <summary>An annotation, or, without a model, a bare name.</summary>
    internal ValueInfo(Model? model, WireField field, string name) => (_model, Field, Name) = (model, field, name);

    /// <summary>The value's name.</summary>
    public string Name { get; }

    /// <summary>Its type, where the model states one. It is read when asked for and not kept: big graphs annotate every value.</summary>
    /// <exception cref="OnnxException">It is not readable.</exception>
    public TypeProto? Type => _model?.Message(ValueInfoProto.Parser, Field).Type;

    /// <summary>Element type of a tensor; undefined for anything else.</summary>
    public DataType DataType => DataTypeOf(Type);

    /// <summary>Sizes of the axes: a number, or null where symbolic or unknown. Null where not even the rank is stated.</summary>
    public ImmutableArray<long?>? Dims => DimsOf(Type);

    /// <summary>Both at once, read once.</summary>
    internal (DataType DataType, ImmutableArray<long?>? Dims) TensorType => Type is var type ? (DataTypeOf(type), DimsOf(type)) : default;

    internal WireField Field { get; }

    private static DataType DataTypeOf(TypeProto? type) => (DataType)(type?.TensorType?.ElemType ?? 0);

    private static ImmutableArray<long?>? DimsOf(TypeProto? type) => type?.TensorType?.Shape?.Dim
        .Select(dim => dim.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue ? dim.DimValue : (long?)null).ToImmutableArray();
}

/// <summary>A graph: the main one, the body of a control flow operator, or that of a function.</summary>
public sealed class Graph
{
    private readonly Lazy<Dictionary<string, Node>> _producers;
    private readonly Lazy<Dictionary<string, Tensor>> _initializers;
    private readonly Lazy<Dictionary<string, ValueInfo>> _infos;
    private readonly Lazy<Dictionary<string, (Node First, List<Node>? More)>> _consumers;
    private readonly Lazy<HashSet<string>> _others;
    private readonly Lazy<HashSet<string>> _freeNames;
    private readonly Lazy<FactTable> _facts;

    internal Graph(Model model, string path, Graph? outer)
    {
        (Model, Path, Outer) = (model, path, outer);
        _producers = new(IndexProducers);
        _initializers = new(() => FirstByName(Initializers.Length, Initializers, tensor => tensor.Name));
        _infos = new(() => FirstByName(ValueInfos.Length, Inputs.Concat(Outputs).Concat(ValueInfos), info => info.Name));
        _consumers = new(IndexConsumers);
        _others = new(() => [.. Inputs.Select(input => input.Name), .. SparseInitializers]);
        _freeNames = new(CollectFreeNames);
        _facts = new(() => new FactTable(this));
    }

    private const int MaxIdentities = 1000;

    /// <summary>The path of the model's own graph.</summary>
    public const string MainPath = "main";

    /// <summary>The model it belongs to.</summary>
    public Model Model { get; }

    /// <summary>
    /// <c>main</c>, <c>main/NODE:attribute</c> for the body of a control flow node, <c>function/DOMAIN:NAME</c> for a function.
    /// A node without a name of its own is called <c>#k</c> with k nodes before it that have bodies. Patches leave paths as they are.
    /// </summary>
    public string Path { get; }

    /// <summary>The graph around, whose values can be captured; null for the main graph and functions.</summary>
    public Graph? Outer { get; }

    /// <summary>How many graphs are around.</summary>
    public int Depth => Outer is { } outer ? outer.Depth + 1 : 0;

    /// <summary>Whether this is the body of a function.</summary>
    public bool IsFunction { get; internal init; }

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

    internal ImmutableArray<OpsetImport> FunctionOpsets { get; set; } = [];

    /// <summary>Tensors that are no initializers: parts of sparse ones, defaults of a function's attributes.</summary>
    internal ImmutableArray<Tensor> OtherTensors { get; set; } = [];

    internal IEnumerable<string> DefinedNames => _others.Value.Concat(_initializers.Value.Keys).Concat(_producers.Value.Keys);

    /// <summary>What is known of the values without running the model.</summary>
    internal FactTable Facts => _facts.Value;

    /// <summary>Where the graph's message lies; several where the file holds it in pieces.</summary>
    internal ImmutableArray<Frame> Frames { get; set; } = [];

    /// <summary>The version of an operator domain here, or null where it is not imported: a function has imports of its own.</summary>
    public long? Opset(string domain = "") =>
        Outer is not null ? Outer.Opset(domain) : OpsetImport.VersionOf(IsFunction ? FunctionOpsets : Model.Opsets, domain);

    /// <summary>The node that makes a value, or null.</summary>
    public Node? Producer(string value) => _producers.Value.GetValueOrDefault(value);

    /// <summary>The initializer of that name in this graph or one around it, or null.</summary>
    public Tensor? Initializer(string name) =>
        _initializers.Value.GetValueOrDefault(name) ?? (Defines(name) ? null : Outer?.Initializer(name));

    /// <summary>The initializer of that name, or the tensor of the <c>Constant</c> node that makes it, here or in a graph around; else null.</summary>
    public Tensor? Constant(string name)
    {
        // The bound is for damaged graphs, where an Identity may read itself.
        var graph = this;
        for (var steps = 0; graph is not null && steps < MaxIdentities; steps++)
            if (graph._initializers.Value.TryGetValue(name, out var tensor))
                return tensor;
            else if (graph.Producer(name) is not { } node)
                graph = graph.Defines(name) ? null : graph.Outer;
            else if (node is { OpType: "Identity" } && node.Input(0) is { } source)
                name = source;
            else
                return node.OpType == "Constant" ? node.Attribute("value")?.Tensor : null;
        return null;
    }

    /// <summary>The nodes of this graph that read a value, themselves or in a subgraph.</summary>
    public IEnumerable<Node> Consumers(string value) =>
        !_consumers.Value.TryGetValue(value, out var readers) ? [] : readers.More ?? (IEnumerable<Node>)[readers.First];

    /// <summary>What the graph states of a value's type, or null.</summary>
    public ValueInfo? Info(string value) => _infos.Value.GetValueOrDefault(value);

    /// <summary>Whether the name is an input, an initializer or made by a node here.</summary>
    public bool Defines(string name) => _producers.Value.ContainsKey(name) || _initializers.Value.ContainsKey(name) || _others.Value.Contains(name);

    /// <summary>The graph, this one or one around, that defines a name; or null.</summary>
    public Graph? DefinerOf(string name) => Defines(name) ? this : Outer?.DefinerOf(name);

    /// <summary>Whether this is the other graph or lies inside it.</summary>
    public bool IsWithin(Graph other) => this == other || Outer?.IsWithin(other) == true;

    private Dictionary<string, Node> IndexProducers()
    {
        var producers = new Dictionary<string, Node>(Nodes.Length);
        foreach (var node in Nodes)
            foreach (var output in node.Outputs)
                if (output.Length > 0 && !producers.TryAdd(output, node))
                    throw new OnnxException($"{Model.Source.Name}: value '{output}' of graph '{Path}' is made by two nodes, {producers[output]} and {node}; a value has one producer.");
        return producers;
    }

    // A value with one reader, as most have, takes no list.
    private Dictionary<string, (Node First, List<Node>? More)> IndexConsumers()
    {
        var consumers = new Dictionary<string, (Node First, List<Node>? More)>(Nodes.Length);
        foreach (var node in Nodes)
            foreach (var name in node.Needs)
            {
                ref var readers = ref CollectionsMarshal.GetValueRefOrAddDefault(consumers, name, out var isKnown);
                if (!isKnown)
                    readers.First = node;
                else if ((readers.More?[^1] ?? readers.First) != node)
                    (readers.More ??= [readers.First]).Add(node);
            }
        return consumers;
    }

    private HashSet<string> CollectFreeNames()
    {
        var names = new HashSet<string>(Nodes.SelectMany(node => node.Needs));
        names.UnionWith(Outputs.Select(output => output.Name).Where(name => name.Length > 0));
        names.RemoveWhere(Defines);
        return names;
    }

    private static Dictionary<string, T> FirstByName<T>(int count, IEnumerable<T> items, Func<T, string> name)
    {
        var found = new Dictionary<string, T>(count);
        foreach (var item in items)
            found.TryAdd(name(item), item);
        return found;
    }
}
