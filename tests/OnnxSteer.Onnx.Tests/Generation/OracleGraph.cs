using Google.Protobuf.Collections;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>A graph or function body of a model that Google.Protobuf parsed, and what follows from it, computed the plain way.</summary>
internal sealed class OracleGraph
{
    private readonly FunctionProto? _function;

    private OracleGraph(GraphProto graph, OracleGraph? outer) => (Proto, Outer) = (graph, outer);

    // A function is a graph in which only names state what goes in and out.
    private OracleGraph(FunctionProto function)
    {
        _function = function;
        Proto = new GraphProto { Name = function.Name };
        Proto.Input.AddRange(function.Input.Select(name => new ValueInfoProto { Name = name }));
        Proto.Output.AddRange(function.Output.Select(name => new ValueInfoProto { Name = name }));
        Proto.ValueInfo.AddRange(function.ValueInfo);
    }

    /// <summary>The graph; of a function, a likeness of it without nodes.</summary>
    public GraphProto Proto { get; }

    public OracleGraph? Outer { get; }

    public bool IsFunction => _function is not null;

    public RepeatedField<NodeProto> Nodes => _function?.Node ?? Proto.Node;

    public IEnumerable<string> Sparse => Proto.SparseInitializer.Select(sparse => sparse.Values?.Name ?? "");

    /// <summary>All names that are defined here.</summary>
    public HashSet<string> Defined =>
        [.. Proto.Input.Select(input => input.Name), .. Proto.Initializer.Select(tensor => tensor.Name), .. Sparse, .. Nodes.SelectMany(node => node.Output).Where(name => name.Length > 0)];

    /// <summary>Every graph of a model, in the order in which ours lists them.</summary>
    public static List<OracleGraph> All(ModelProto model)
    {
        var graphs = new List<OracleGraph>();
        Add(new OracleGraph(model.Graph, null));
        foreach (var function in model.Functions)
            Add(new OracleGraph(function));
        return graphs;

        void Add(OracleGraph graph)
        {
            graphs.Add(graph);
            foreach (var body in graph.Nodes.SelectMany(BodiesOf))
                Add(new OracleGraph(body, graph));
        }
    }

    public static IEnumerable<GraphProto> BodiesOf(NodeProto node) =>
        node.Attribute.SelectMany(attribute => attribute.Graphs.Prepend(attribute.G)).OfType<GraphProto>();

    /// <summary>Names that a graph reads and does not define, bodies of its nodes included.</summary>
    public static HashSet<string> FreeNames(GraphProto graph)
    {
        HashSet<string> names = [.. graph.Node.SelectMany(Needs), .. graph.Output.Select(output => output.Name).Where(name => name.Length > 0)];
        names.ExceptWith(new OracleGraph(graph, null).Defined);
        return names;
    }

    public static HashSet<string> Captures(NodeProto node) => [.. BodiesOf(node).SelectMany(FreeNames)];

    public static HashSet<string> Needs(NodeProto node) => [.. node.Input.Where(name => name.Length > 0), .. Captures(node)];

    /// <summary>Fails where a node reads what is made behind it, or what is made nowhere.</summary>
    public static void AssertClosedAndSorted(ModelProto model)
    {
        foreach (var function in model.Functions)
            Check(new OracleGraph(function), []);
        Check(new OracleGraph(model.Graph, null), []);

        static void Check(OracleGraph graph, HashSet<string> outer)
        {
            HashSet<string> known = [.. outer, .. graph.Proto.Input.Select(input => input.Name), .. graph.Proto.Initializer.Select(tensor => tensor.Name), .. graph.Sparse];
            foreach (var node in graph.Nodes)
            {
                foreach (var name in node.Input.Where(name => name.Length > 0 && !known.Contains(name)))
                    Assert.Fail($"Node {node.Name} {node.OpType} of graph {graph.Proto.Name} reads {name}, which nothing before it makes.");
                foreach (var body in BodiesOf(node))
                    Check(new OracleGraph(body, graph), known);
                known.UnionWith(node.Output);
            }
            foreach (var output in graph.Proto.Output.Where(output => !known.Contains(output.Name)))
                Assert.Fail($"Output {output.Name} of graph {graph.Proto.Name} is made by nothing.");
        }
    }
}
