using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>The sites of a graph whose values bear their PyTorch module's path: every module's output, the residual stream, heads.</summary>
internal static class ModuleSites
{
    public static ImmutableArray<Site> Of(AuthoredGraph graph, ModuleScopes scopes)
    {
        var builder = new SiteBuilder(graph);
        var outputs = scopes.Outputs.ToList();
        var prefixes = StatePrefixes(graph, outputs).GetAlternateLookup<ReadOnlySpan<char>>();
        string NameOf(string scope) => prefixes.TryGetValue(RootOf(scope), out var prefix) ? prefix + Dotted(scope) : Dotted(scope);
        var stream = ResidualStream.Of(graph);
        var blocks = LanguageSites.ByBlock(graph, stream, scopes.ScopeOf).ToDictionary(entry => entry.Block, entry => entry.Sums);
        var parents = outputs.Select(output => output.Scope).Where(scope => scope.Contains('/', StringComparison.Ordinal)).Select(scope => RootOf(scope).ToString()).ToHashSet();
        var named = new HashSet<string>();
        foreach (var output in outputs)
        {
            // The module around all others gives out what its last one does.
            if (parents.Contains(output.Scope))
                continue;
            // A block gives out the last sum on the stream; one inside a fused norm, or out of reach, is found there.
            var isBlock = blocks.TryGetValue(output.Scope, out var sums);
            if (isBlock && (SkipNorm.Is(sums![^1].Node.Node) || (sums[^1].Value != output.Value && Projections.Of(graph, output.Value) is not null)))
                continue;
            var agrees = !isBlock || graph.Source(output.Value) == graph.Source(sums![^1].Value!);
            if (builder.Add(NameOf(output.Scope), output.Node.Node, output.Output, $"name: the last value of module path '{output.Scope}' that is read outside it", agrees ? Confidence.Certain : Confidence.Likely))
                named.Add(output.Scope);
        }
        LanguageSites.AddStream(builder, graph, stream, scopes.ScopeOf, NameOf, block => !named.Contains(block));
        LanguageSites.AddHeads(builder, graph, scopes.ScopeOf, NameOf);
        AddDropout(builder, graph, outputs, stream, NameOf);
        return builder.Build(LanguageSites.BasePrefix(blocks.Keys.Select(NameOf)));
    }

    private static string Dotted(string scope) => scope.Replace('/', '.');

    // The outermost module that a scope lies in.
    private static ReadOnlySpan<char> RootOf(string scope) => scope.IndexOf('/', StringComparison.Ordinal) is >= 0 and var end ? scope.AsSpan(0, end) : scope;

    // Dropout does nothing and leaves no node. GPT-2's stands between the embeddings and the first block.
    private static void AddDropout(SiteBuilder builder, AuthoredGraph graph, List<ModuleOutput> outputs, ImmutableArray<StreamSum> stream, Func<string, string> nameOf)
    {
        if (stream.IsEmpty || outputs.Find(output => output.Scope.EndsWith("/wte", StringComparison.Ordinal) || output.Scope == "wte") is not { Scope: not null } table
            || graph.Producer(stream[0].Before) is not { } node)
            return;
        builder.Add(nameOf(table.Scope)[..^"wte".Length] + "drop", node.Node, node.Outputs.IndexOf(stream[0].Before), "structure: what enters the first block; dropout leaves no node", Confidence.Likely);
    }

    // Modules that are not called themselves are missing in paths, but not in the names of parameters: OPT's '/decoder' is
    // 'model.decoder'. By outermost module, what its parameters' names have before it.
    private static Dictionary<string, string> StatePrefixes(AuthoredGraph graph, List<ModuleOutput> outputs)
    {
        var scopes = new Dictionary<string, string>(outputs.Count);
        foreach (var output in outputs)
            scopes.TryAdd(Dotted(output.Scope), output.Scope);
        var byPath = scopes.GetAlternateLookup<ReadOnlySpan<char>>();
        var found = new Dictionary<string, Dictionary<string, int>>();
        for (var around = graph.Graph; around is not null; around = around.Outer)
            foreach (var name in around.Initializers.Select(tensor => tensor.Name))
                for (var start = 0; start >= 0 && start < name.Length; start = name.IndexOf('.', start) is >= 0 and var dot ? dot + 1 : -1)
                    if (LongestIn(name.AsSpan(start)) is { } scope)
                    {
                        var root = RootOf(scope).ToString();
                        var counts = found.TryGetValue(root, out var known) ? known : found[root] = [];
                        counts[name[..start]] = counts.GetValueOrDefault(name[..start]) + 1;
                        break;
                    }
        return found.ToDictionary(entry => entry.Key, entry => entry.Value.MaxBy(count => count.Value).Key);

        // The scope of the longest path that the name begins with.
        string? LongestIn(ReadOnlySpan<char> name)
        {
            for (var end = name.LastIndexOf('.'); end > 0; end = name[..end].LastIndexOf('.'))
                if (byPath.TryGetValue(name[..end], out var scope))
                    return scope;
            return null;
        }
    }
}
