using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>A node with the names that its exporter gave to what it reads and makes, whatever patches put between since.</summary>
/// <param name="Node">The node as it is now.</param>
/// <param name="Inputs">Values it read; empty where an optional input is left out.</param>
/// <param name="Outputs">Values it made; empty where an optional output is left out.</param>
internal sealed record AuthoredNode(Node Node, ImmutableArray<string> Inputs, ImmutableArray<string> Outputs)
{
    /// <summary>Position in execution order.</summary>
    public int Order { get; internal set; }

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

    private readonly Dataflow _flow;
    private readonly HashSet<string> _outputs;
    private readonly Lazy<Dataflow.Values> _content;

    private AuthoredGraph(Graph graph, AuthoredGraph? outer)
    {
        (Graph, Outer, Facts) = (graph, outer, FactTable.Of(graph));
        _flow = new Dataflow(Read(graph), Entries, graph.Nodes.Length + graph.Initializers.Length);
        _outputs = [.. graph.Outputs.Select(output => output.Name)];
        _content = new(FindContent);
    }

    public Graph Graph { get; }

    public AuthoredGraph? Outer { get; }

    public FactTable Facts { get; }

    /// <summary>The exporter's nodes, each behind those it needs.</summary>
    public ImmutableArray<AuthoredNode> Nodes => _flow.Nodes;

    public static AuthoredGraph Of(Graph graph) => new(graph, graph.Outer is { } outer ? Of(outer) : null);

    /// <summary>The main graph and all bodies of control flow nodes, outer ones first; functions are not among them.</summary>
    public static ImmutableArray<AuthoredGraph> All(Model model)
    {
        var known = new Dictionary<Graph, AuthoredGraph>();
        foreach (var graph in model.Graphs.Where(graph => graph.IsWithin(model.Graph)).OrderBy(graph => graph.Depth))
            known[graph] = new AuthoredGraph(graph, graph.Outer is { } outer ? known[outer] : null);
        return [.. known.Values];
    }

    /// <summary>The exporter's node that makes a value, or null.</summary>
    public AuthoredNode? Producer(string value) => _flow.MakerOf(value);

    /// <summary>The exporter's nodes that read a value.</summary>
    public ArraySegment<AuthoredNode> Consumers(string value) => _flow.ReadersOf(value);

    public bool IsOutput(string value) => _outputs.Contains(value);

    /// <summary>Whether a value depends on the tokens other than through their number. Masks, positions, rotary tables and the past do not.</summary>
    public bool IsContent(string value) => _content.Value.Contains(value) || (Outer is not null && !Graph.Defines(value) && Outer.IsContent(value));

    /// <summary>Whether a value is a floating point tensor that depends on the tokens.</summary>
    public bool IsActivation(string value) => IsContent(value) && Facts[value].DataType.IsFloat();

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
    private static AuthoredNode[] Read(Graph graph)
    {
        var authored = graph.Nodes.Where(node => !Names.IsInserted(node)).ToArray();
        return authored.Length == graph.Nodes.Length
            ? Array.ConvertAll(authored, node => new AuthoredNode(node, node.Inputs, node.Outputs))
            : Array.ConvertAll(authored, node => new AuthoredNode(node, [.. node.Inputs.Select(Original)], [.. node.Outputs.Select(WithoutMark)]));

        string Original(string value)
        {
            for (var steps = 0; steps < MaxSteps && value.Contains(Names.Mark, StringComparison.Ordinal) && graph.Producer(value) is { } node && Names.IsInserted(node); steps++)
                value = node.Inputs[0];
            return WithoutMark(value);
        }
    }

    internal static string WithoutMark(string value) => value.IndexOf(Names.Mark, StringComparison.Ordinal) is >= 0 and var at ? value[..at] : value;

    // What comes in from outside and may depend on the tokens.
    private IEnumerable<string> Entries => Graph.Outer is null ? Graph.Inputs.Select(input => input.Name) : Graph.FreeNames;

    private Dataflow.Values FindContent()
    {
        var content = _flow.NoValues();
        foreach (var name in Entries.Where(name => Outer?.IsContent(name) ?? IsToken(name)))
            content.Add(name);
        content.Spread(DependsOnNumbers);
        // Tables of positions are looked up without the content, and added to it.
        foreach (var sum in Nodes.Where(node => node.OpType == "Add" && node.Inputs.Length == 2 && node.Inputs.Any(content.Contains)))
            foreach (var input in sum.Inputs.Where(input => !content.Contains(input)))
                if (Producer(Source(input)) is { OpType: "Gather" } lookup && lookup.Input(0) is { } table && Facts[table] is { Rank: 2 } facts && facts.DataType.IsFloat() && IsWeight(table))
                    content.Add(lookup.Outputs[0]);
        content.Spread(DependsOnNumbers);
        return content;

        static bool IsToken(string input) => !input.Contains("mask", StringComparison.Ordinal) && !input.Contains("position", StringComparison.Ordinal)
            && !input.StartsWith("past", StringComparison.Ordinal) && input is not ("img_ids" or "txt_ids");

        // On what a value holds, not on its shape alone.
        static bool DependsOnNumbers(AuthoredNode node) => node.OpType is not ("Shape" or "Size");
    }
}
