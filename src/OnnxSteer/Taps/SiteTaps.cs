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
    /// Pools the sites' values over the real tokens of each row inside the graph, so that only <c>[batch, channels]</c> leaves
    /// it, in float32; and prunes everything that this does not need. For calls without a past.
    /// </summary>
    /// <exception cref="OnnxException">A site lies in the body of a loop, or its value is neither <c>[batch, tokens, channels]</c> nor <c>[tokens, channels]</c>.</exception>
    public static (Model Pruned, ImmutableArray<SiteTap> Taps) Pooled(Model model, IEnumerable<Site> sites, Pooling pooling)
    {
        var signature = DecoderSignature.Of(model);
        var names = new FreshNames(model);
        var ops = new Ops(model, "pooling", names);
        var (pools, points) = (new Pools(ops, signature, pooling), new TapPoints(model, names, "tap"));
        var outputs = new Dictionary<string, string>();
        var taps = sites.Select(site => new SiteTap(site, [.. points.PartsOf(site).Select(part =>
            (part.Place, outputs.TryGetValue(part.Value, out var known) ? known : outputs[part.Value] = pools.Add(site, part.Value)))])).ToImmutableArray();
        // Only the main graph's nodes may stand anywhere, so all of them can go to the front.
        var patch = points.Patch.With(ops.Flush(Graph.MainPath, Anchor.Start))
            .With(outputs.Values.Select(output => new AddOutput("pooling", new ValueInfoProto { Name = output })));
        var tapped = model.Apply(patch);
        return (tapped.Apply(Pruning.To(tapped, outputs.Values)), taps);
    }

    private sealed class Pools(Ops ops, DecoderSignature signature, Pooling pooling)
    {
        private const string Hint = "onnxsteer.pool";
        private string? _mask, _count, _fill;

        public string Add(Site site, string value)
        {
            if (site.Rank is not (null or 2 or 3))
                throw new OnnxException($"Site '{site.Name}' has rank {site.Rank}; only [batch, tokens, channels] and [tokens, channels] can be pooled over tokens.");
            var z = site.DataType == DataType.Float32 ? value : ops.Cast(Hint, value, DataType.Float32);
            if (site.Rank == 2)
                z = ops.Node(Hint, "Reshape", z, ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Shape", signature.InputIds), ops.Integers(-1)], Ops.Int("axis", 0)));
            // A select, since a product with 0 keeps infinities and NaN of padding.
            if (Mask() is { } mask)
                z = ops.Node(Hint, "Where", mask, z, _fill ??= ops.Constant(Hint, DataType.Float32, [], [Fill]));
            return pooling switch
            {
                Pooling.Min => ops.Reduce(Hint, "ReduceMin", z, keep: false, 1),
                Pooling.Max => ops.Reduce(Hint, "ReduceMax", z, keep: false, 1),
                Pooling.Last => ops.Reduce(Hint, "ReduceSum", z, keep: false, 1),
                _ when signature.AttentionMask is null => ops.Reduce(Hint, "ReduceMean", z, keep: false, 1),
                _ => ops.Node(Hint, "Div", ops.Reduce(Hint, "ReduceSum", z, keep: false, 1), Count()),
            };
        }

        private double Fill => pooling switch { Pooling.Min => float.MaxValue, Pooling.Max => float.MinValue, _ => 0 };

        // Which tokens count: bool [batch, tokens, 1]; null for all.
        private string? Mask() =>
            _mask ??= pooling == Pooling.Last ? PositionMask.Add(ops, signature, Positions.Last)
                : signature.AttentionMask is { } mask ? ops.Cast(Hint, Column(mask), DataType.Bool) : null;

        private string Count() => _count ??= ops.Reduce(Hint, "ReduceSum", ops.Cast(Hint, signature.AttentionMask!, DataType.Float32), keep: true, 1);

        // Reshape's 0 keeps an axis as it is.
        private string Column(string mask) => ops.Reshape(Hint, mask, 0, -1, 1);
    }
}
