using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>Gathers what a dialect finds: modules with one value become one site with aliases, in execution order.</summary>
internal sealed class SiteBuilder(Graph graph, FactTable facts)
{
    private readonly Dictionary<ValuePlace, (Place Place, List<string> Names, string Evidence, Confidence Confidence, int Channels)> _found = [];

    /// <summary>Adds a module's output. Of several modules with the same value the one with the longest path gives the name.</summary>
    public void Add(string module, Node node, int output, string evidence, Confidence confidence, AxisRange? range = null, Hook hook = Hook.After)
    {
        var value = node.Output(output) ?? $"{StemOf(node)}output_{output}";
        // A sum has the type and size of the norm beside it.
        var known = facts[hook == Hook.After ? value : node.Outputs[0]];
        if (!known.DataType.IsFloat() || known.Channels is not (> 0 and <= int.MaxValue and var channels))
            return;
        var at = new ValuePlace(graph.Path, value, range);
        if (_found.TryGetValue(at, out var found))
            found.Names.Add(module);
        else
            _found.Add(at, (new Place(at, node.Index, node.Label, null, hook), [module], evidence, confidence, range?.Length ?? (int)channels));
    }

    public ImmutableArray<Site> Build(string basePrefix)
    {
        var order = 0;
        return [.. _found.Values.OrderBy(found => found.Place.NodeIndex).ThenByDescending(found => found.Place.Hook).ThenBy(found => found.Place.At.Range?.Start ?? 0)
            .Select(found =>
            {
                var names = found.Names.OrderByDescending(name => name.Length).ToList();
                var short_ = names.Where(name => name.StartsWith(basePrefix, StringComparison.Ordinal)).Select(name => name[basePrefix.Length..]);
                var known = facts[found.Place.Hook == Hook.After ? found.Place.At.Value : graph.Nodes[found.Place.NodeIndex].Outputs[0]];
                return new Site(names[0], [.. names.Skip(1).Concat(short_)], [found.Place], known.DataType, known.Rank, known.ChannelAxis, found.Channels, order++,
                    found.Evidence, found.Confidence, known.Layout);
            })];
    }

    // The name an exporter would have given: beside the norm's own output, as that was called before any patch.
    private static string StemOf(Node node)
    {
        var value = node.Outputs[0].Split(Names.Mark)[0];
        return value.EndsWith("output_0", StringComparison.Ordinal) ? value[..^"output_0".Length] : $"{value}_";
    }
}
