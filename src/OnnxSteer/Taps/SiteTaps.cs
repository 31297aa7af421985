using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
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
    /// <summary>The input that says which tokens are pooled, where some are left out: bool <c>[batch, tokens]</c>.</summary>
    public const string PooledTokens = "onnxsteer.pooled";

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
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites.</param>
    /// <param name="pooling">How.</param>
    /// <param name="isChosen">Whether the input <see cref="PooledTokens"/> says which tokens count.</param>
    /// <exception cref="OnnxException">A site lies in the body of a loop, or its value has no tokens to pool over.</exception>
    public static (Model Pruned, ImmutableArray<SiteTap> Taps) Pooled(Model model, IEnumerable<Site> sites, Pooling pooling, bool isChosen = false)
    {
        return Pooled(model, sites, pooling, isChosen, (_, _, part) => part.Value);
    }

    /// <summary>
    /// As <see cref="Pooled(Model, IEnumerable{Site}, Pooling, bool)"/>, but of each channel the share of tokens that lie within the support
    /// of a map.
    /// </summary>
    public static (Model Pruned, ImmutableArray<SiteTap> Taps) Insides(Model model, IEnumerable<(Site Site, Support Support)> sites, bool isChosen = false)
    {
        var supports = sites.ToDictionary(entry => entry.Site, entry => entry.Support);
        return Pooled(model, supports.Keys, Pooling.Mean, isChosen, Inside);

        string Inside(Ops ops, Site site, (Place Place, string Value) part)
        {
            const string hint = "onnxsteer.inside";
            var z = site.DataType == DataType.Float32 ? part.Value : ops.Cast(hint, part.Value, DataType.Float32);
            string Bound(ImmutableArray<float> bounds, double none)
            {
                // Beside a range of a packed value lie other sites' channels.
                var width = site.WidthAt(model, part.Place);
                var all = Enumerable.Repeat(none, width).ToArray();
                for (var i = 0; i < (part.Place.At.Range?.Length ?? width); i++)
                    all[(part.Place.At.Range?.Start ?? 0) + i] = bounds[(part.Place.ModuleRange?.Start ?? 0) + i];
                return ops.Constant(hint, DataType.Float32, [width, .. Enumerable.Repeat(1L, site.ChannelAxis == 1 ? site.SpaceAxes.Length : 0)], all);
            }
            var inside = ops.Node(hint, "And", ops.Node(hint, "Less", Bound(supports[site].Lo, 0), z), ops.Node(hint, "Less", z, Bound(supports[site].Hi, 0)));
            return ops.Cast(hint, inside, DataType.Float32);
        }
    }

    private static (Model Pruned, ImmutableArray<SiteTap> Taps) Pooled(
        Model model, IEnumerable<Site> sites, Pooling pooling, bool isChosen, Func<Ops, Site, (Place Place, string Value), string> of)
    {
        var names = new FreshNames(model);
        var ops = new Ops(model, "pooling", names);
        var pools = new SitePooling(ops, DecoderSignature.TryOf(model), pooling, isChosen);
        var points = new TapPoints(model, names, "tap");
        var taps = sites.Select(site => new SiteTap(site, [.. points.PartsOf(site).Select(part =>
            (part.Place, of(ops, site, part) is var value && value == part.Value ? pools.Add(site, value) : pools.Add(site with { DataType = DataType.Float32 }, value)))])).ToImmutableArray();
        var patch = points.Patch.With(pools.Edits).With(pools.Outputs.Select(output => new AddOutput("pooling", new ValueInfoProto { Name = output })));
        var tapped = model.Apply(patch);
        return (tapped.Apply(Pruning.To(tapped, [.. pools.Outputs])), taps);
    }

    /// <summary>
    /// Gives out the length (Euclidean norm) of each token's activation at each site, float32 <c>[batch, tokens, 1]</c>, and prunes everything
    /// that this does not need.
    /// </summary>
    /// <returns>The pruned model and an output for each site; of sites whose values are <c>[batch, tokens, channels]</c> or <c>[batch*tokens, channels]</c> alone.</returns>
    public static (Model Pruned, ImmutableArray<(Site Site, string Output)> Lengths) Lengths(Model model, IEnumerable<Site> sites)
    {
        var (signature, names) = (DecoderSignature.Of(model), new FreshNames(model));
        var ops = new Ops(model, "length", names);
        var points = new TapPoints(model, names, "tap");
        ImmutableArray<(Site Site, string Output)> lengths = [.. sites.Where(site => site.Layout == ImageLayout.None && site.Rank is null or 2 or 3)
            .Select(site => (site, Projection.Length(ops, signature, site, points.PartsOf(site).ToList())))];
        var outputs = lengths.Select(length => length.Output).ToList();
        var tapped = model.Apply(points.Patch.With(ops.Flush(Graph.MainPath, Anchor.Start)).With(outputs.Select(output => new AddOutput("length", new ValueInfoProto { Name = output }))));
        return (tapped.Apply(Pruning.To(tapped, outputs)), lengths);
    }
}
