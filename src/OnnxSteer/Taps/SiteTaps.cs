using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
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
    /// Pools the sites' values over the real tokens of each row, or over the space of feature maps, inside the graph, so that
    /// only <c>[batch, channels]</c> leaves it, in float32; and prunes everything that this does not need. For calls without a
    /// past. Graphs without token ids, as denoisers, have no masks: there all tokens count, and a value <c>[batch, channels]</c>
    /// is taken as it is.
    /// </summary>
    /// <exception cref="OnnxException">A site lies in a subgraph, or its value has no tokens to pool over.</exception>
    public static (Model Pruned, ImmutableArray<SiteTap> Taps) Pooled(Model model, IEnumerable<Site> sites, Pooling pooling)
    {
        var signature = DecoderSignature.TryOf(model);
        var ops = new Ops(model, "pooling", new FreshNames(model));
        var tokens = signature is null ? null : new TokenPooling(ops, signature, pooling);
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
                outputs[place.At.Value] = tokens is not null && site.Layout == ImageLayout.None ? OverTokens(tokens, site, place) : OverAll(ops, site, place, pooling);
            }
            taps.Add(new SiteTap(site, [.. site.Places.Select(place => (place, outputs[place.At.Value]))]));
        }
        // Only the main graph's nodes may stand anywhere, so all of them can go to the front.
        patch = patch.With(ops.Flush(Graph.MainPath, Anchor.Start))
            .With(outputs.Values.Select(output => new AddOutput("pooling", new ValueInfoProto { Name = output })));
        var tapped = model.Apply(patch);
        return (tapped.Apply(Pruning.To(tapped, outputs.Values)), taps.ToImmutable());
    }

    private static string OverTokens(TokenPooling tokens, Site site, Place place) =>
        site.Rank is null or 2 or 3 ? tokens.Add(place.At.Value, site.DataType, site.Rank)
            : throw new OnnxException($"Site '{site.Name}' has rank {site.Rank}; only [batch, tokens, channels] and [tokens, channels] can be pooled over tokens.");

    // Over all axes between the batch's and the channels', whatever they are called.
    private static string OverAll(Ops ops, Site site, Place place, Pooling pooling)
    {
        const string hint = "onnxsteer.pool";
        if (pooling == Pooling.Last)
            throw new OnnxException($"Site '{site.Name}' has no last token; pool it by mean, min or max.");
        var z = site.DataType == DataType.Float32 ? place.At.Value : ops.Cast(hint, place.At.Value, DataType.Float32);
        var axes = site.Layout != ImageLayout.None ? site.SpaceAxes : [.. Enumerable.Range(1, Math.Max(0, (site.Rank ?? 3) - 2)).Select(axis => (long)axis)];
        return axes.IsEmpty ? ops.Node(hint, "Identity", z) : ops.Reduce(hint, pooling switch { Pooling.Min => "ReduceMin", Pooling.Max => "ReduceMax", _ => "ReduceMean" }, z, keep: false, axes.AsSpan());
    }

    internal static EnableOutput Enable(Model model, Place place)
    {
        var node = model.GraphAt(place.At.Graph).Nodes[place.NodeIndex];
        return new EnableOutput("tap", place.At.Graph, node.Outputs[0], SkipNorm.SumOutput(node), place.At.Value);
    }
}
