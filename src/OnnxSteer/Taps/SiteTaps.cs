using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>Where one site is read: an output of the tapped graph, and how its last axis maps to the site's channels.</summary>
/// <param name="Site">The site.</param>
/// <param name="Parts">Each place's graph output.</param>
public sealed record SiteTap(Site Site, ImmutableArray<(Place Place, string Output)> Parts);

/// <summary>Patches that read sites out, whole or pooled over tokens inside the graph.</summary>
public static class SiteTaps
{
    /// <summary>Declares the sites' values as outputs. Sums of fused skip norms that the file leaves out are enabled.</summary>
    /// <exception cref="OnnxException">A site lies in a subgraph.</exception>
    public static (GraphPatch Patch, ImmutableArray<SiteTap> Taps) Whole(Model model, IEnumerable<Site> sites)
    {
        var patch = GraphPatch.Empty;
        var taps = sites.Select(site => new SiteTap(site, [.. site.Places.Select(place => (place, place.At.Value))])).ToImmutableArray();
        foreach (var place in taps.SelectMany(tap => tap.Parts).Select(part => part.Place).DistinctBy(place => place.At.Value))
            patch = place.Hook == Hook.Absent
                ? patch.With(Enable(model, place)).With(new AddOutput("tap", new ValueInfoProto { Name = place.At.Value }))
                : patch.Tap(model, place.At with { Range = null }, "tap");
        return (patch, taps);
    }

    /// <summary>
    /// Pools the sites' values over the real tokens of each row inside the graph, so that only <c>[batch, channels]</c> leaves
    /// it, in float32; and prunes everything that this does not need. For calls without a past.
    /// </summary>
    /// <exception cref="OnnxException">A site lies in a subgraph, or its value is neither <c>[batch, tokens, channels]</c> nor <c>[tokens, channels]</c>.</exception>
    public static (Model Pruned, ImmutableArray<SiteTap> Taps) Pooled(Model model, IEnumerable<Site> sites, Pooling pooling)
    {
        var signature = DecoderSignature.Of(model);
        var ops = new Ops(model, "pooling", new FreshNames(model));
        var pools = new TokenPooling(ops, signature, pooling);
        var patch = GraphPatch.Empty;
        var outputs = new Dictionary<string, string>();
        var taps = ImmutableArray.CreateBuilder<SiteTap>();
        foreach (var site in sites)
        {
            foreach (var place in site.Places)
            {
                if (place.At.Graph != Graph.MainPath)
                    throw new OnnxException($"{model.Source.Name}: site '{site.Name}' lies in the subgraph '{place.At.Graph}'; only values of the main graph can be read out.");
                if (outputs.ContainsKey(place.At.Value))
                    continue;
                if (place.Hook == Hook.Absent)
                    patch = patch.With(Enable(model, place));
                if (site.Rank is not (null or 2 or 3))
                    throw new OnnxException($"Site '{site.Name}' has rank {site.Rank}; only [batch, tokens, channels] and [tokens, channels] can be pooled over tokens.");
                outputs[place.At.Value] = pools.Add(place.At.Value, site.DataType, site.Rank);
            }
            taps.Add(new SiteTap(site, [.. site.Places.Select(place => (place, outputs[place.At.Value]))]));
        }
        // Only the main graph's nodes may stand anywhere, so all of them can go to the front.
        patch = patch.With(ops.Flush(Graph.MainPath, Anchor.Start))
            .With(outputs.Values.Select(output => new AddOutput("pooling", new ValueInfoProto { Name = output })));
        var tapped = model.Apply(patch);
        return (tapped.Apply(Pruning.To(tapped, outputs.Values)), taps.ToImmutable());
    }

    internal static EnableOutput Enable(Model model, Place place)
    {
        var node = model.GraphAt(place.At.Graph).Nodes[place.NodeIndex];
        return new EnableOutput("tap", place.At.Graph, node.Outputs[0], SkipNorm.SumOutput(node), place.At.Value);
    }
}
