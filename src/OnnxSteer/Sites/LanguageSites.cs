using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>What the dialects of language models have in common.</summary>
internal static class LanguageSites
{
    private const int MaxSteps = 16;

    /// <summary>
    /// The sites of all graphs of a model. One that several branches have (a merged decoder) has a place in each; a graph
    /// around others goes before them.
    /// </summary>
    public static ImmutableArray<Site> OfGraphs(Model model, Func<AuthoredGraph, ImmutableArray<Site>> sitesOf)
    {
        var sites = new List<Site>();
        var indices = new Dictionary<string, int>();
        foreach (var graph in AuthoredGraph.All(model))
            foreach (var site in sitesOf(graph))
            {
                if (indices.TryAdd(site.Name, sites.Count))
                    sites.Add(site);
                else if (indices[site.Name] is var at && sites[at].Places.All(place => !graph.Graph.IsWithin(model.GraphAt(place.At.Graph))) && sites[at].Channels == site.Channels)
                    sites[at] = sites[at] with { Places = [.. sites[at].Places, .. site.Places] };
            }
        return [.. sites.Select((site, order) => site.Order == order ? site : site with { Order = order })];
    }

    /// <summary>
    /// Adds what lies on the residual stream: in each block the sum after attention, and the block's output where
    /// <paramref name="isUnnamed"/> says that nothing else tells it.
    /// </summary>
    /// <param name="builder">Takes the sites.</param>
    /// <param name="graph">The graph.</param>
    /// <param name="stream">Its residual stream.</param>
    /// <param name="scopeOf">The module that a value is made in, or null.</param>
    /// <param name="nameOf">A scope's name as a module.</param>
    /// <param name="isUnnamed">Whether a block, by its scope, has no output yet.</param>
    public static void AddStream(
        SiteBuilder builder, AuthoredGraph graph, ImmutableArray<StreamSum> stream, Func<string, string?> scopeOf, Func<string, string> nameOf, Func<string, bool> isUnnamed)
    {
        foreach (var (block, sums) in ByBlock(graph, stream, scopeOf))
        {
            var name = nameOf(block);
            foreach (var (i, sum) in sums.Index().Where(entry => entry.Index == 0 || entry.Index == sums.Count - 1))
            {
                var isNorm = SkipNorm.Is(sum.Node.Node);
                var hook = !isNorm ? Hook.After : sum.Value is null ? Hook.Absent : Hook.Unfuse;
                if (i == sums.Count - 1 && isUnnamed(block))
                    builder.Add(name, sum.Node.Node, sum.Output, $"structure: the last sum of the block on the residual stream{In(sum)}", Confidence.Certain, hook: hook);
                else if (i < sums.Count - 1)
                    builder.Add($"{name}.residual_mid", sum.Node.Node, sum.Output, $"structure: the block's first sum on the residual stream{In(sum)}", Confidence.Certain, hook: hook);
            }
        }

        static string In(StreamSum sum) => SkipNorm.Is(sum.Node.Node) ? $", inside the fused skip norm '{sum.Node.Node.Label}'" : "";
    }

    /// <summary>The sums of each block, by the block that the branch was made in.</summary>
    public static IEnumerable<(string Block, List<StreamSum> Sums)> ByBlock(AuthoredGraph graph, ImmutableArray<StreamSum> stream, Func<string, string?> scopeOf) =>
        stream.Select(sum => (Sum: sum, Block: ModuleScopes.BlockOf(Scope(graph, sum.Branch, scopeOf))))
            .Where(entry => entry.Block is not null).GroupBy(entry => entry.Block!, entry => entry.Sum).Select(group => (group.Key, group.ToList()));

    /// <summary>Adds the heads of every attention whose output projection lies in a module.</summary>
    public static void AddHeads(SiteBuilder builder, AuthoredGraph graph, Func<string, string?> scopeOf, Func<string, string> nameOf)
    {
        foreach (var heads in AttentionHeads.Of(graph))
            if (Scope(graph, heads.Projection.Outputs[0], scopeOf) is { } scope && scope.LastIndexOf('/') is > 0 and var end)
                AddHeads(builder, graph, heads, nameOf(scope[..end]), Confidence.Certain);
    }

    public static void AddHeads(SiteBuilder builder, AuthoredGraph graph, AttentionHeads heads, string attention, Confidence confidence)
    {
        var producer = graph.Producer(heads.Value)!;
        for (var head = 0; head < heads.Heads; head++)
        {
            var range = new AxisRange(head * heads.HeadSize, (head + 1) * heads.HeadSize);
            builder.Add($"{attention}.heads.{head}", producer.Node, producer.Outputs.IndexOf(heads.Value),
                $"structure: part {range} of what '{heads.Projection.Node.Label}' projects; {heads.Evidence}", confidence, range);
        }
    }

    /// <summary>What the paths of the base model's modules begin with, as <c>model.</c> in <c>model.layers.0</c>; null where blocks stand outermost.</summary>
    public static string? BasePrefix(IEnumerable<string> blocks) =>
        blocks.FirstOrDefault() is { } block && block.Count(c => c == '.') > 1 ? block[..(block.IndexOf('.') + 1)] : null;

    // Values that bear no path (of inserted casts, splits) belong to what they are made of.
    private static string? Scope(AuthoredGraph graph, string value, Func<string, string?> scopeOf)
    {
        for (var steps = 0; steps < MaxSteps; steps++)
            if (scopeOf(value) is { } scope)
                return scope;
            else if (graph.Producer(value)?.Inputs.FirstOrDefault(graph.IsContent) is { } source)
                value = source;
            else
                return null;
        return null;
    }
}
