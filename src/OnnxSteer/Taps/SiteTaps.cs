using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>Where one site is read: outputs of the tapped graph, and how their last axis maps to the site's channels.</summary>
/// <param name="Site">The site.</param>
/// <param name="Parts">Each part's graph output: one, or several of packed modules. Branches of one node share theirs.</param>
public sealed record SiteTap(Site Site, ImmutableArray<(Place Place, string Output)> Parts);

/// <summary>Patches that read sites out, whole or pooled over tokens inside the graph.</summary>
public static class SiteTaps
{
    /// <summary>
    /// Declares the sites' values as outputs. Sums that fused skip norms leave out are enabled, biases that the next operator
    /// adds are added, values of branches become outputs of their node.
    /// </summary>
    /// <exception cref="OnnxException">A site lies in the body of a loop.</exception>
    public static (GraphPatch Patch, ImmutableArray<SiteTap> Taps) Whole(Model model, IEnumerable<Site> sites)
    {
        var points = new TapPoints(model, new FreshNames(model), "tap");
        var taps = sites.Select(site => new SiteTap(site, [.. points.PartsOf(site)])).ToImmutableArray();
        var patch = points.Patch;
        foreach (var value in taps.SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct())
            patch = model.Graph.Defines(value) ? patch.Tap(model, new ValuePlace(Graph.MainPath, value), "tap") : patch.With(new AddOutput("tap", new ValueInfoProto { Name = value }));
        return (patch, taps);
    }

    /// <summary>
    /// Pools the sites' values over the real tokens of each row, or over the space of feature maps, inside the graph, so that
    /// only <c>[batch, channels]</c> leaves it, in float32; and prunes everything that this does not need. For calls without a
    /// past.
    /// </summary>
    /// <exception cref="OnnxException">A site lies in the body of a loop, or its value has no tokens to pool over.</exception>
    public static (Model Pruned, ImmutableArray<SiteTap> Taps) Pooled(Model model, IEnumerable<Site> sites, Pooling pooling)
    {
        var names = new FreshNames(model);
        var ops = new Ops(model, "pooling", names);
        var pools = new SitePooling(ops, DecoderSignature.TryOf(model), pooling);
        var points = new TapPoints(model, names, "tap");
        var taps = sites.Select(site => new SiteTap(site, [.. points.PartsOf(site).Select(part => (part.Place, pools.Add(site, part.Value)))])).ToImmutableArray();
        // Only the main graph's nodes may stand anywhere, so all of them can go to the front.
        var patch = points.Patch.With(ops.Flush(Graph.MainPath, Anchor.Start))
            .With(pools.Outputs.Select(output => new AddOutput("pooling", new ValueInfoProto { Name = output })));
        var tapped = model.Apply(patch);
        return (tapped.Apply(Pruning.To(tapped, [.. pools.Outputs])), taps);
    }
}
