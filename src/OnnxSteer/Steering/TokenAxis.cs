using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>How the rows of values lie to the tokens of a call.</summary>
internal sealed class TokenAxis
{
    private const int MaxSteps = 16;
    private readonly Dictionary<Graph, FactTable> _facts = [];

    /// <summary>
    /// How many rows a token has: 1, or the heads of a norm that works on <c>[batch, tokens*heads, channels]</c>, as the query
    /// norms of some exporters do.
    /// </summary>
    public long HeadsPerToken(SteeredValue value)
    {
        var graph = value.Node.Graph;
        if (!_facts.TryGetValue(graph, out var facts))
            _facts[graph] = facts = FactTable.Of(graph);
        // Through norms and what else keeps the shape, up to the reshape that made heads rows.
        var node = value.Node;
        for (var step = 0; step < MaxSteps && node?.Input(0) is { } source; step++)
        {
            if (node.Is("Reshape"))
                return facts[source] is { Rank: 2 or 3, LastDim: { } all } && all > value.Width && all % value.Width == 0 ? all / value.Width : 1;
            if (facts[source].LastDim != value.Width)
                return 1;
            node = graph.Producer(source);
        }
        return 1;
    }
}
