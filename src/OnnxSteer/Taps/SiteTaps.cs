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
        var pools = new Pools(ops, signature, pooling);
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
                outputs[place.At.Value] = pools.Add(site, place.At.Value);
            }
            taps.Add(new SiteTap(site, [.. site.Places.Select(place => (place, outputs[place.At.Value]))]));
        }
        // Only the main graph's nodes may stand anywhere, so all of them can go to the front.
        patch = patch.With(ops.Flush(Graph.MainPath, Anchor.Start))
            .With(outputs.Values.Select(output => new AddOutput("pooling", new ValueInfoProto { Name = output })));
        var tapped = model.Apply(patch);
        return (tapped.Apply(Pruning.To(tapped, outputs.Values)), taps.ToImmutable());
    }

    private static EnableOutput Enable(Model model, Place place)
    {
        var node = model.GraphAt(place.At.Graph).Nodes[place.NodeIndex];
        return new EnableOutput("tap", place.At.Graph, node.Outputs[0], SkipNorm.SumOutput(node), place.At.Value);
    }

    private sealed class Pools(Ops ops, DecoderSignature? signature, Pooling pooling)
    {
        private const string Hint = "onnxsteer.pool";
        private string? _mask, _count, _fill;

        public string Add(Site site, string value)
        {
            var z = site.DataType == DataType.Float32 ? value : ops.Cast(Hint, value, DataType.Float32);
            if (signature is null || site.Layout != ImageLayout.None)
                return OfAll(site, z);
            if (site.Rank is not (null or 2 or 3))
                throw new OnnxException($"Site '{site.Name}' has rank {site.Rank}; only [batch, tokens, channels] and [tokens, channels] can be pooled over tokens.");
            if (site.Rank == 2)
                z = ops.Node(Hint, "Reshape", z, ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Shape", signature!.InputIds), ops.Integers(-1)], Ops.Int("axis", 0)));
            // A select, since a product with 0 keeps infinities and NaN of padding.
            if (Mask() is { } mask)
                z = ops.Node(Hint, "Where", mask, z, _fill ??= ops.Constant(Hint, DataType.Float32, [], [Fill]));
            return pooling switch
            {
                Pooling.Min => ops.Reduce(Hint, "ReduceMin", z, keep: false, 1),
                Pooling.Max => ops.Reduce(Hint, "ReduceMax", z, keep: false, 1),
                Pooling.Last => ops.Reduce(Hint, "ReduceSum", z, keep: false, 1),
                _ when signature!.AttentionMask is null => ops.Reduce(Hint, "ReduceMean", z, keep: false, 1),
                _ => ops.Node(Hint, "Div", ops.Reduce(Hint, "ReduceSum", z, keep: false, 1), Count()),
            };
        }

        // Over all axes between the batch's and the channels', whatever they are called.
        private string OfAll(Site site, string z)
        {
            if (pooling == Pooling.Last)
                throw new OnnxException($"Site '{site.Name}' has no last token; pool it by mean, min or max.");
            if (site.Layout == ImageLayout.None && site.Rank != 3)
                z = ops.Reshape(Hint, z, 0, -1, site.Channels);
            return ops.Reduce(Hint, pooling switch { Pooling.Min => "ReduceMin", Pooling.Max => "ReduceMax", _ => "ReduceMean" }, z, keep: false,
                site.Layout == ImageLayout.None ? [1] : site.SpaceAxes.AsSpan());
        }

        private double Fill => pooling switch { Pooling.Min => float.MaxValue, Pooling.Max => float.MinValue, _ => 0 };

        // Which tokens count: bool [batch, tokens, 1]; null for all.
        private string? Mask() =>
            _mask ??= pooling == Pooling.Last ? PositionMask.Add(ops, signature!, Positions.Last)
                : signature!.AttentionMask is { } mask ? ops.Cast(Hint, Column(mask), DataType.Bool) : null;

        private string Count() => _count ??= ops.Reduce(Hint, "ReduceSum", ops.Cast(Hint, signature!.AttentionMask!, DataType.Float32), keep: true, 1);

        // Reshape's 0 keeps an axis as it is.
        private string Column(string mask) => ops.Reshape(Hint, mask, 0, -1, 1);
    }
}
