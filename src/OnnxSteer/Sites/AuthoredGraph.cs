using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>A node with the names that its exporter gave to what it reads and makes, whatever patches put between since.</summary>
/// <param name="Node">The node as it is now.</param>
/// <param name="Inputs">Values it read; empty where an optional input is left out.</param>
/// <param name="Outputs">Values it made; empty where an optional output is left out.</param>
/// <param name="Order">Position in execution order.</param>
internal sealed record AuthoredNode(Node Node, ImmutableArray<string> Inputs, ImmutableArray<string> Outputs, int Order)
{
    public string OpType => Node.OpType;

    public string? Input(int index) => index < Inputs.Length && Inputs[index].Length > 0 ? Inputs[index] : null;

    public string? Output(int index) => index < Outputs.Length && Outputs[index].Length > 0 ? Outputs[index] : null;

    public bool Equals(AuthoredNode? other) => ReferenceEquals(Node, other?.Node);

    public override int GetHashCode() => Node.Index;
}

/// <summary>
/// A graph as its exporter wrote it: nodes that patches inserted are seen through, so that a steered graph has the sites it
/// had before. Knows which values depend on the content of the tokens.
/// </summary>
internal sealed class AuthoredGraph
{
    private const int MaxSteps = 64;

    private readonly Dictionary<string, AuthoredNode> _producers = [];
    private readonly HashSet<string> _outputs;
    private readonly Lazy<ILookup<string, AuthoredNode>> _consumers;
    private readonly Lazy<HashSet<string>> _content;

    private AuthoredGraph(Graph graph, AuthoredGraph? outer)
    {
        (Graph, Outer, Facts) = (graph, outer, FactTable.Of(graph));
        Nodes = Read(graph);
        foreach (var node in Nodes)
            foreach (var output in node.Outputs.Where(output => output.Length > 0))
                _producers[output] = node;
        _outputs = [.. graph.Outputs.Select(output => output.Name)];
        _consumers = new(() => Nodes.SelectMany(node => node.Inputs.Where(input => input.Length > 0).Concat(node.Node.Captures).Distinct(), (node, name) => (node, name))
            .ToLookup(use => use.name, use => use.node));
        _content = new(FindContent);
    }

    public Graph Graph { get; }

    public AuthoredGraph? Outer { get; }

    public FactTable Facts { get; }

    /// <summary>The exporter's nodes, each behind those it needs.</summary>
    public ImmutableArray<AuthoredNode> Nodes { get; }

    public static AuthoredGraph Of(Graph graph) => new(graph, graph.Outer is { } outer ? Of(outer) : null);

    /// <summary>The main graph and all bodies of control flow nodes, outer ones first; functions are not among them.</summary>
    public static ImmutableArray<AuthoredGraph> All(Model model)
    {
        var known = new Dictionary<Graph, AuthoredGraph>();
        foreach (var graph in model.Graphs.Where(graph => !graph.IsFunction && IsWithinMain(graph)).OrderBy(Depth))
            known[graph] = new AuthoredGraph(graph, graph.Outer is { } outer ? known[outer] : null);
        return [.. known.Values];

        static int Depth(Graph graph) => graph.Outer is { } outer ? Depth(outer) + 1 : 0;

        bool IsWithinMain(Graph graph) => graph == model.Graph || (graph.Outer is { } outer && IsWithinMain(outer));
    }

    /// <summary>The exporter's node that makes a value, or null.</summary>
    public AuthoredNode? Producer(string value) => _producers.GetValueOrDefault(value);

    /// <summary>The exporter's nodes that read a value.</summary>
    public IEnumerable<AuthoredNode> Consumers(string value) => _consumers.Value[value];

    public bool IsOutput(string value) => _outputs.Contains(value);

    /// <summary>Whether a value depends on the tokens other than through their number. Masks, positions, rotary tables and the past do not.</summary>
    public bool IsContent(string value) => _content.Value.Contains(value) || (!Graph.Defines(value) && Outer?.IsContent(value) == true);

    /// <summary>Whether a value is a floating point tensor that depends on the tokens.</summary>
    public bool IsActivation(string value) => Facts[value].DataType.IsFloat() && IsContent(value);

    /// <summary>Whether a value is known without running: an initializer or constant, or made of one by casts, transposes or dequantization.</summary>
    public bool IsWeight(string value)
    {
        for (var steps = 0; steps < MaxSteps; steps++)
            if (Graph.Constant(value) is not null)
                return true;
            else if (Producer(value) is { OpType: "Cast" or "Transpose" or "DequantizeLinear" or "Identity" or "Reshape" or "Unsqueeze" } node && node.Input(0) is { } source)
                value = source;
            else
                return false;
        return false;
    }

    /// <summary>The value behind operators that change neither numbers nor their order: casts, reshapes, quantization.</summary>
    public string Source(string value)
    {
        for (var steps = 0; steps < MaxSteps; steps++)
            if (Producer(value) is { } node && IsPassive(node) && node.Input(0) is { } source)
                value = source;
            else
                return value;
        return value;
    }

    public static bool IsPassive(AuthoredNode node) => node.OpType is "Cast" or "Identity" or "Dropout" or "Reshape" or "Squeeze" or "Unsqueeze" or "Flatten"
        or "QuantizeLinear" or "DequantizeLinear" or "DynamicQuantizeLinear";

    // Names as they were: a steered value's first maker bears the mark, and what was inserted before an input is seen through.
    private static ImmutableArray<AuthoredNode> Read(Graph graph)
    {
        var authored = graph.Nodes.Where(node => !IsInserted(node)).ToList();
        if (authored.Count == graph.Nodes.Length)
            return Sorted([.. authored.Select(node => new AuthoredNode(node, node.Inputs, node.Outputs, 0))]);
        return Sorted([.. authored.Select(node => new AuthoredNode(node, [.. node.Inputs.Select(Original)], [.. node.Outputs.Select(WithoutMark)], 0))]);

        string Original(string value)
        {
            for (var steps = 0; steps < MaxSteps && value.Contains(Names.Mark, StringComparison.Ordinal) && graph.Producer(value) is { } node && IsInserted(node); steps++)
                value = node.Inputs[0];
            return WithoutMark(value);
        }
    }

    internal static string WithoutMark(string value) => value.IndexOf(Names.Mark, StringComparison.Ordinal) is >= 0 and var at ? value[..at] : value;

    private static bool IsInserted(Node node) => node.Name.Contains(Names.Mark, StringComparison.Ordinal);

    // Main graphs may be in any order.
    private static ImmutableArray<AuthoredNode> Sorted(List<AuthoredNode> nodes)
    {
        var made = new Dictionary<string, int>();
        for (var i = 0; i < nodes.Count; i++)
            foreach (var output in nodes[i].Outputs.Where(output => output.Length > 0))
                made.TryAdd(output, i);
        IEnumerable<int> Before(int i) => nodes[i].Inputs.Concat(nodes[i].Node.Captures).Select(name => made.GetValueOrDefault(name, -1)).Where(j => j >= 0);
        if (!Enumerable.Range(0, nodes.Count).All(i => Before(i).All(j => j < i)))
        {
            var (placed, order, stack) = (new byte[nodes.Count], new List<int>(nodes.Count), new Stack<int>());
            for (var first = 0; first < nodes.Count; first++)
            {
                stack.Push(first);
                while (stack.TryPeek(out var i))
                {
                    if (placed[i] == 0)
                    {
                        placed[i] = 1;
                        foreach (var j in Before(i).Where(j => placed[j] == 0))
                            stack.Push(j);
                    }
                    else if (stack.Pop() is var done && placed[done] == 1)
                    {
                        placed[done] = 2;
                        order.Add(done);
                    }
                }
            }
            nodes = [.. order.Select(i => nodes[i])];
        }
        return [.. nodes.Select((node, i) => node with { Order = i })];
    }

    private HashSet<string> FindContent()
    {
        var content = Graph.Outer is null
            ? Graph.Inputs.Select(input => input.Name)
                .Where(name => !name.Contains("mask", StringComparison.Ordinal) && !name.Contains("position", StringComparison.Ordinal) && !name.StartsWith("past", StringComparison.Ordinal)
                    && name is not ("img_ids" or "txt_ids")).ToHashSet()
            : Graph.FreeNames.Where(name => Outer!.IsContent(name)).ToHashSet();
        Spread(Nodes);
        // Tables of positions are looked up without the content, and added to it.
        foreach (var sum in Nodes.Where(node => node.OpType == "Add" && node.Inputs.Length == 2 && node.Inputs.Any(content.Contains)))
            foreach (var input in sum.Inputs.Where(input => !content.Contains(input)))
                if (Producer(Source(input)) is { OpType: "Gather" } lookup && lookup.Input(0) is { } table && Facts[table] is { Rank: 2 } facts && facts.DataType.IsFloat() && IsWeight(table))
                    content.UnionWith(lookup.Outputs);
        Spread(Nodes);
        return content;

        void Spread(ImmutableArray<AuthoredNode> nodes)
        {
            foreach (var node in nodes)
                if (node.OpType is not ("Shape" or "Size") && (node.Inputs.Any(content.Contains) || node.Node.Captures.Any(content.Contains)))
                    content.UnionWith(node.Outputs.Where(output => output.Length > 0));
        }
    }
}
