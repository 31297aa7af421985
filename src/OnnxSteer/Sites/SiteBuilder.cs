using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>Gathers what a dialect finds: modules with one value become one site with aliases, in execution order.</summary>
internal sealed class SiteBuilder(AuthoredGraph source)
{
    private readonly Dictionary<ValuePlace, Found> _found = [];

    private Graph Graph => source.Graph;

    /// <summary>Adds a module's output. Of several modules with the same value the one with the longest path gives the name.</summary>
    /// <returns>Whether it can be steered: type and channels are known.</returns>
    public bool Add(string module, Node node, int output, string evidence, Confidence confidence, AxisRange? range = null, Hook hook = Hook.After)
    {
        if (hook == Hook.After && SkipNorm.Is(node) && output == SkipNorm.SumOutput(node))
            hook = Hook.Unfuse;
        if (PlaceOf(node, output, range, null, hook) is not var (place, known, size))
            return false;
        if (_found.TryGetValue(place.At, out var found))
            found.Names.Add(module);
        else
            _found.Add(place.At, new Found([place], [module], evidence, confidence, known, size));
        return true;
    }

    /// <summary>Adds a module whose output is several values side by side.</summary>
    public void AddParts(string module, IEnumerable<Node> nodes, string evidence, Confidence confidence)
    {
        var (places, start, facts) = (ImmutableArray.CreateBuilder<Place>(), 0, ValueFacts.Unknown);
        foreach (var node in nodes)
        {
            if (PlaceOf(node, 0, null, null, Hook.After) is not var (place, known, size))
                return;
            places.Add(place with { ModuleRange = new AxisRange(start, start += size) });
            facts = known;
        }
        if (places.Count > 0)
            _found.Add(places[0].At, new Found(places.ToImmutable(), [module], evidence, confidence, facts, start));
    }

    /// <summary>The sites: of values that are their module's output, or lack a bias of it that is known and added outside.</summary>
    /// <param name="basePrefix">What the paths of the base model's modules begin with; they have an alias without it. Null for nothing.</param>
    public ImmutableArray<Site> Build(string? basePrefix)
    {
        var order = 0;
        return [.. _found.Values.Where(found => !found.Places.Any(place => FusedBias.IsInside(source, place.At.Value))).OrderBy(found => found.Places[0].NodeIndex).ThenByDescending(found => found.Places[0].Hook is Hook.Unfuse or Hook.Absent)
            .ThenBy(found => found.Places[0].At.Range?.Start ?? 0).ThenBy(found => found.Places[0].At.Value, StringComparer.Ordinal)
            .Select(found =>
            {
                List<string> names = found.Names.Count == 1 ? found.Names : [.. found.Names.Distinct().OrderByDescending(name => name.Length)];
                var shorter = basePrefix is null ? [] : names.Where(name => name.StartsWith(basePrefix, StringComparison.Ordinal)).Select(name => name[basePrefix.Length..]);
                return new Site(names[0], [.. names.Skip(1).Concat(shorter)], [.. found.Places.Select(place => WithBias(place))],
                    found.Facts.DataType, found.Facts.Rank, found.Facts.ChannelAxis, found.Channels, order++, found.Evidence, found.Confidence, found.Facts.Layout);
            })];
    }

    private Place WithBias(Place place) =>
        place.Hook == Hook.After && place.At.Range is null && FusedBias.Of(source, place.At.Value) is { } bias ? place with { Hook = Hook.BeforeBias, MissingBias = bias } : place;

    // A value is named as before any patch; what makes it now may be an inserted node.
    private (Place Place, ValueFacts Facts, int Size)? PlaceOf(Node node, int output, AxisRange? range, AxisRange? moduleRange, Hook hook)
    {
        var value = AuthoredGraph.WithoutMark(node.Output(output) ?? $"{StemOf(node)}output_{output}");
        // A sum has the type and size of the norm beside it.
        var known = source.Facts[hook is Hook.After ? value : node.Outputs[0]];
        if (!known.DataType.IsFloat() || known.Channels is not (> 0 and <= int.MaxValue and var channels))
            return null;
        var maker = hook == Hook.After ? Graph.Producer(value) ?? node : node;
        return (new Place(new ValuePlace(Graph.Path, value, range), maker.Index, maker.Label, moduleRange, hook), known, range?.Length ?? (int)channels);
    }

    // The name an exporter would have given: beside the norm's own output, as that was called before any patch.
    private static string StemOf(Node node)
    {
        var value = AuthoredGraph.WithoutMark(node.Outputs[0]);
        return value.EndsWith("output_0", StringComparison.Ordinal) ? value[..^"output_0".Length] : $"{value}_";
    }

    private sealed record Found(ImmutableArray<Place> Places, List<string> Names, string Evidence, Confidence Confidence, ValueFacts Facts, int Channels);
}
