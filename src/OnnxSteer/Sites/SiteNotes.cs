using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>What a site table does not hold, or holds in an unusual way, and why.</summary>
internal static class SiteNotes
{
    private const int Listed = 4;

    // What every language model has, by the last steps of a site's name.
    private static readonly ImmutableArray<(string What, Func<string, bool> Is)> Expected =
    [
        ("token embeddings", name => Ends(name, "embed_tokens", "wte", "word_embeddings", "embed_in")),
        ("norms", name => name.Contains("norm", StringComparison.Ordinal) || Ends(name, "ln_1", "ln_2")),
        ("attention outputs", name => Ends(name, "self_attn", "attn", "attention", "self_attention")),
        ("attention heads", name => name.Contains(".heads.", StringComparison.Ordinal)),
        ("MLP outputs", name => Ends(name, "mlp", "fc2", "block_sparse_moe")),
        ("residual sums after attention", name => Ends(name, "residual_mid")),
        ("block outputs", name => KindOf(name) == "block"),
        ("the vocabulary head", name => Ends(name, "lm_head", "embed_out")),
    ];

    public static ImmutableArray<string> Of(Model model, SiteTable table)
    {
        var notes = ImmutableArray.CreateBuilder<string>();
        foreach (var site in table.Sites)
            foreach (var place in site.Places.Where(place => place.Hook == Hook.Absent))
                notes.Add($"'{site.Name}' is never given out: '{place.Node}' adds it up inside. It can be steered there, and reading it enables that output.");
        var lacking = table.Sites.Where(site => site.Places.Any(place => place.MissingBias is not null)).ToList();
        if (lacking.Count > 0)
            notes.Add($"{lacking.Count} values lack their module's bias, which the next operator adds; it is taken into account: {List(lacking.Select(site => site.Name))}.");
        var fused = AuthoredGraph.All(model).SelectMany(graph => graph.Nodes, (graph, node) => (node.Node.Label, Values: FusedBias.InAttention(node).Where(value => FusedBias.IsInside(graph, value)).ToList())).Where(entry => entry.Values.Count > 0).ToList();
        if (fused.Count > 0)
            notes.Add($"{fused.Sum(entry => entry.Values.Count)} projections of queries, keys or values are no sites, since attention adds their biases inside ({List(fused.Select(entry => $"'{entry.Label}'"))}); without these they are steered as {SiteTable.ValuePrefix}{fused[0].Values[0]}.");
        if (DecoderSignature.TryOf(model) is { } signature && !table.Sites.IsEmpty)
        {
            var names = table.Sites.SelectMany(site => site.Names).ToList();
            foreach (var (what, _) in Expected.Where(kind => !names.Exists(name => kind.Is(name))))
                notes.Add($"No site was found for {what}{Reason(model, what)}.");
            if (CacheAnnotations.Wrong(model, signature) is { Length: > 0 } wrong)
                notes.Add($"{wrong.Length} annotations of values contradict the cache, so that ONNX Runtime fails to decode; decoding drops them from a copy in memory, the file stays as it is.");
        }
        foreach (var (kind, missing) in Gaps(table))
            notes.Add($"Not every block has '{kind}': it is missing in {List(missing)}.");
        notes.AddRange(Pathless(model, table));
        return notes.ToImmutable();
    }

    /// <summary>What a site is in its block: the path behind the block's number, <c>block</c> for the block itself; for others the last step.</summary>
    public static string KindOf(string name)
    {
        var steps = name.Split('.');
        var at = Array.FindIndex(steps, step => step.Length > 0 && step.All(char.IsAsciiDigit));
        return at < 0 ? steps[^1] : at == steps.Length - 1 ? "block" : string.Join('.', steps[(at + 1)..].Where(step => !step.All(char.IsAsciiDigit)));
    }

    private static string Reason(Model model, string what)
    {
        if (what == "attention heads")
        {
            var uncounted = new List<string>();
            foreach (var graph in AuthoredGraph.All(model))
                _ = AttentionHeads.Of(graph, node => uncounted.Add(node.Node.Label)).Count();
            return uncounted.Count > 0 ? $": how many there are is told neither by the operators nor by a configuration beside the model ({List(uncounted)})" : ": no projection reads what attention gives";
        }
        return what == "residual sums after attention" ? ": no block adds to the residual stream twice" : "";
    }

    private static IEnumerable<(string Kind, List<string> Missing)> Gaps(SiteTable table)
    {
        var blocks = table.Sites.SelectMany(site => site.Names.Take(1)).Where(name => KindOf(name) == "block").ToList();
        var names = table.Sites.SelectMany(site => site.Names).ToHashSet();
        foreach (var kind in names.Where(name => blocks.Exists(block => name.StartsWith(block + ".", StringComparison.Ordinal))).Select(KindOf).Distinct().Where(kind => kind.Length > 0 && !kind.EndsWith("heads", StringComparison.Ordinal)))
            if (blocks.Where(block => !names.Contains($"{block}.{kind}")).ToList() is { Count: > 0 } missing && missing.Count < blocks.Count)
                yield return (kind, missing);
    }

    // Nodes that work on activations and tell no module.
    private static IEnumerable<string> Pathless(Model model, SiteTable table)
    {
        if (Dialects.All.FirstOrDefault(dialect => dialect.Name == table.Dialect)?.ScopeOf is not { } scopeOf)
            yield break;
        var nodes = AuthoredGraph.All(model).SelectMany(graph => graph.Nodes.Where(node => node.Outputs.Index().Any(output => output.Item.Length > 0 && graph.IsActivation(output.Item))
            && Enumerable.Range(0, node.Outputs.Length).All(i => node.Output(i) is null || scopeOf(node, i) is not { Length: > 0 }))).ToList();
        if (nodes.Count > 0)
            yield return $"{nodes.Count} nodes that work on activations bear no module's path: {string.Join(", ", nodes.GroupBy(node => node.OpType).OrderByDescending(group => group.Count()).Take(Listed).Select(group => $"{group.Count()} {group.Key}"))}.";
    }

    private static bool Ends(string name, params ReadOnlySpan<string> ends)
    {
        foreach (var end in ends)
            if (name == end || name.EndsWith("." + end, StringComparison.Ordinal))
                return true;
        return false;
    }

    private static string List(IEnumerable<string> names) =>
        names.ToList() is { Count: > Listed } many ? $"{string.Join(", ", many.Take(Listed))} and {many.Count - Listed} more" : string.Join(", ", names);
}
