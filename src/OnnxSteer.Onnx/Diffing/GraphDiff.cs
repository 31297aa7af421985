using System.Collections.Immutable;
using System.Globalization;

namespace OnnxSteer.Onnx.Diffing;

/// <summary>Compares two graphs.</summary>
internal static class GraphDiff
{
    private const int MaxShown = 16;

    public static IEnumerable<Difference> Of(Graph before, Graph after, CancellationToken cancel) =>
    [
        .. Changed(before, "name", before.Name, after.Name),
        .. ModelDiff.Named(before.Path, "input", Infos(before.Inputs), Infos(after.Inputs)),
        .. ModelDiff.Named(before.Path, "output", Infos(before.Outputs), Infos(after.Outputs)),
        .. ModelDiff.Named(before.Path, "value", Infos(before.ValueInfos), Infos(after.ValueInfos)),
        .. Initializers(before, after, cancel),
        .. Nodes(before, after, cancel),
    ];

    private static IEnumerable<Difference> Changed(Graph graph, string name, string before, string after) =>
        before == after ? [] : [new Difference(graph.Path, "graph", Change.Changed, name, before, after)];

    private static List<(string, string)> Infos(ImmutableArray<ValueInfo> infos) => [.. infos.Select(info => (info.Name, ModelDiff.TextOf(info.Type)))];

    private static IEnumerable<Difference> Initializers(Graph before, Graph after, CancellationToken cancel)
    {
        foreach (var (was, becomes) in ModelDiff.Pair(ByName(before), ByName(after)))
            if (becomes is not { } other)
                yield return new Difference(before.Path, "initializer", Change.Removed, was!.Value.Key, TensorDiff.TextOf(was.Value.Value), null);
            else if (was is not { } tensor)
                yield return new Difference(before.Path, "initializer", Change.Added, other.Key, null, TensorDiff.TextOf(other.Value));
            else if (TensorDiff.Of(tensor.Value, other.Value, cancel) is var (old, now))
                yield return new Difference(before.Path, "initializer", Change.Changed, tensor.Key, old, now);
        foreach (var difference in ModelDiff.Named(before.Path, "initializer", [.. before.SparseInitializers.Select(name => (name, "sparse"))], [.. after.SparseInitializers.Select(name => (name, "sparse"))]))
            yield return difference;

        static IEnumerable<KeyValuePair<string, Tensor>> ByName(Graph graph) => graph.Initializers.Select(tensor => KeyValuePair.Create(tensor.Name, tensor));
    }

    private static IEnumerable<Difference> Nodes(Graph before, Graph after, CancellationToken cancel)
    {
        var partners = Pair(before, after);
        var previous = -1;
        var isSorted = true;
        foreach (var node in before.Nodes)
            if (partners[node.Index] is not { } other)
                yield return new Difference(before.Path, "node", Change.Removed, node.Label, TextOf(node), null);
            else
            {
                isSorted &= other.Index > previous;
                previous = other.Index;
                foreach (var (name, was, becomes) in Parts(node, other, cancel))
                    yield return new Difference(before.Path, "node", Change.Changed, $"{node.Label}: {name}", was, becomes);
            }
        var paired = partners.OfType<Node>().ToHashSet();
        foreach (var node in after.Nodes)
            if (!paired.Contains(node))
                yield return new Difference(before.Path, "node", Change.Added, node.Label, null, TextOf(node));
        if (!isSorted)
            yield return new Difference(before.Path, "order", Change.Changed, "nodes", "the order of the first model", "another order of the same nodes");
    }

    // By name where only one node has it in either graph, then by what a node makes, then by what it reads, in file order.
    private static Node?[] Pair(Graph before, Graph after)
    {
        var partners = new Node?[before.Nodes.Length];
        var taken = new bool[after.Nodes.Length];
        Match(node => node.Name, isUnique: true);
        Match(node => node.Output(0) ?? "", isUnique: true);
        Match(node => $"{node.Domain} {node.OpType}({string.Join('\n', node.Inputs)})", isUnique: false);
        return partners;

        void Match(Func<Node, string> key, bool isUnique)
        {
            var left = before.Nodes.Where(node => partners[node.Index] is null).GroupBy(key).Where(group => group.Key.Length > 0).ToList();
            if (left.Count == 0)
                return;
            var right = after.Nodes.Where(node => !taken[node.Index]).ToLookup(key);
            foreach (var group in left)
                foreach (var (node, other) in group.Zip(right[group.Key]))
                {
                    if (isUnique && (group.Skip(1).Any() || right[group.Key].Skip(1).Any()))
                        break;
                    (partners[node.Index], taken[other.Index]) = (other, true);
                }
        }
    }

    private static IEnumerable<(string Part, string? Before, string? After)> Parts(Node before, Node after, CancellationToken cancel)
    {
        if (before.Name != after.Name)
            yield return ("name", before.Name, after.Name);
        if ((before.Domain, before.OpType, before.Overload) != (after.Domain, after.OpType, after.Overload))
            yield return ("operator", Operator(before), Operator(after));
        foreach (var part in Places("input", before.Inputs, after.Inputs).Concat(Places("output", before.Outputs, after.Outputs)))
            yield return part;
        foreach (var (was, becomes) in ModelDiff.Pair(ByName(before), ByName(after)))
            if (Texts(was?.Value, becomes?.Value, cancel) is var (old, now))
                yield return ($"attribute {(was ?? becomes)!.Value.Key}", old, now);
        foreach (var difference in ModelDiff.Named(null, "metadata", [.. before.Metadata.Select(entry => (entry.Key, entry.Value))], [.. after.Metadata.Select(entry => (entry.Key, entry.Value))]))
            yield return ($"metadata {difference.Name}", difference.Before, difference.After);

        static IEnumerable<KeyValuePair<string, NodeAttribute>> ByName(Node node) => node.Attributes.Select(attribute => KeyValuePair.Create(attribute.Name, attribute));
    }

    // What either holds; null where they hold the same.
    private static (string? Before, string? After)? Texts(NodeAttribute? before, NodeAttribute? after, CancellationToken cancel)
    {
        if (before is null || after is null)
            return (before?.Text, after?.Text);
        if (before.Tensor is { } tensor && after.Tensor is { } other)
            return TensorDiff.Of(tensor, other, cancel) is var (old, now) ? (old, now) : null;
        return before.SameAs(after) ? null : (before.Text, after.Text);
    }

    private static IEnumerable<(string Part, string? Before, string? After)> Places(string what, ImmutableArray<string> before, ImmutableArray<string> after)
    {
        for (var i = 0; i < Math.Max(before.Length, after.Length); i++)
        {
            var (was, becomes) = (i < before.Length ? before[i] : null, i < after.Length ? after[i] : null);
            if (was != becomes)
                yield return (string.Create(CultureInfo.InvariantCulture, $"{what} {i}"), was, becomes);
        }
    }

    private static string Operator(Node node) =>
        $"{(node.Domain.Length == 0 ? "" : $"{node.Domain}.")}{node.OpType}{(node.Overload.Length == 0 ? "" : $":{node.Overload}")}";

    private static string TextOf(Node node) => $"{Operator(node)}({List(node.Inputs)}) -> {List(node.Outputs)}";

    private static string List(ImmutableArray<string> names) =>
        string.Join(", ", names.Take(MaxShown)) + (names.Length > MaxShown ? $", and {names.Length - MaxShown} more" : "");
}
