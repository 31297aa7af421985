using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>A sum on the residual stream: what was there, plus what a branch makes of it.</summary>
/// <param name="Node">An <c>Add</c>, or a fused skip norm that adds up inside.</param>
/// <param name="Output">Which output of the node the sum is.</param>
/// <param name="Before">The stream before.</param>
/// <param name="Branch">What the branch gives.</param>
internal sealed record StreamSum(AuthoredNode Node, int Output, string Before, string Branch)
{
    /// <summary>The sum's value, or null where a fused norm does not give it out.</summary>
    public string? Value => Node.Output(Output);
}

/// <summary>
/// The residual stream by dataflow: sums <c>x + f(x)</c>, each of which takes the one before as its x. What is longest of
/// such chains is the stream.
/// </summary>
internal static class ResidualStream
{
    /// <summary>The sums in execution order; empty where there is no such chain.</summary>
    public static ImmutableArray<StreamSum> Of(AuthoredGraph graph)
    {
        var sums = new Dictionary<AuthoredNode, (StreamSum Sum, StreamSum? Previous, int Length)>();
        var bySum = new Dictionary<string, AuthoredNode>();
        foreach (var node in graph.Nodes)
        {
            var isNorm = SkipNorm.Is(node.Node);
            if ((!isNorm && node.OpType != "Add") || node.Input(0) is not { } a || node.Input(1) is not { } b || !graph.IsActivation(a) || !graph.IsActivation(b))
                continue;
            foreach (var (before, branch) in new[] { (a, b), (b, a) })
            {
                if (!Reaches(graph, branch, graph.Source(before)))
                    continue;
                var previous = Previous(graph.Source(before));
                var length = 1 + (previous is null ? 0 : sums[previous].Length);
                if (!sums.TryGetValue(node, out var known) || known.Length < length)
                    sums[node] = (new StreamSum(node, isNorm ? SkipNorm.SumOutput(node.Node) : 0, before, branch), previous is null ? null : sums[previous].Sum, length);
            }
            if (sums.ContainsKey(node) && node.Output(isNorm ? SkipNorm.SumOutput(node.Node) : 0) is { } value)
                bySum[value] = node;
        }
        var chain = new List<StreamSum>();
        for (var sum = sums.Values.OrderBy(entry => entry.Length).LastOrDefault().Sum; sum is not null; sum = sums[sum.Node].Previous)
            chain.Add(sum);
        chain.Reverse();
        return [.. chain];

        // Where norms follow sums (post-norm), the stream goes on from the norm.
        AuthoredNode? Previous(string value) => bySum.GetValueOrDefault(value)
            ?? (graph.Producer(value) is { } node && node.Outputs[0] == value
                ? SkipNorm.Is(node.Node) && sums.ContainsKey(node) ? node
                    : node.OpType is "LayerNormalization" or "SimplifiedLayerNormalization" or "RMSNormalization" && node.Input(0) is { } normed ? bySum.GetValueOrDefault(graph.Source(normed)) : null
                : null);
    }

    // Whether a value is made from another one that lies before it.
    private static bool Reaches(AuthoredGraph graph, string value, string source)
    {
        if (value == source || graph.Source(value) == source)
            return false;
        var first = graph.Producer(source)?.Order ?? -1;
        var seen = new HashSet<AuthoredNode>();
        var queue = new Queue<string>([value]);
        while (queue.TryDequeue(out var name))
        {
            // A fused norm gives out the sum and its norm.
            if (name == source || (graph.Producer(name) is { } maker && maker.Order == first && SkipNorm.Is(maker.Node)))
                return true;
            if (graph.Producer(name) is { } node && node.Order > first && seen.Add(node))
                foreach (var input in node.Inputs.Where(graph.IsContent))
                    queue.Enqueue(input);
        }
        return false;
    }
}
