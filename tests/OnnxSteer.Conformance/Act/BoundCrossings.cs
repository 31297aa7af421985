using System.Collections.Immutable;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer.Conformance;

/// <summary>
/// A value that rounding carries over a bound is mapped on one side and not on the other, and logits then differ by far more
/// than rounding. Whether that is what happened can be proven: with the bound moved to the value's other side, and nothing
/// else changed, they agree again.
/// </summary>
internal static class BoundCrossings
{
    private const float Near = 1e-6f;
    private const int Most = 2;

    /// <summary>The maps that differ from one in the bounds of the few values that come within rounding of them.</summary>
    public static IEnumerable<SteeringMap> Across(Model model, SteeringMap map, float strength, Positions positions, ImmutableArray<int> prompt)
    {
        var patch = Steering.Patch(model, map, new SteeringOptions { Strength = strength, Positions = positions });
        var steered = model.Apply(patch);
        // What a site's value was before the transport bears the name that the patch gave it; the sites are in the order of execution.
        string[] before = [.. patch.Edits.OfType<RenameOutput>().Select(rename => rename.NewName)];
        var values = Exports.Run(steered.Apply(before.Aggregate(GraphPatch.Empty, (taps, name) => taps.Tap(steered, new ValuePlace(Graph.MainPath, name), "tap"))), [prompt], before);
        var near = map.Sites.Zip(before).SelectMany(pair => Crossings(pair.First, values[pair.Second])).ToList();
        return near.Count > Most ? [] : Enumerable.Range(1, (1 << near.Count) - 1).Select(chosen => near.Where((_, i) => (chosen >> i & 1) == 1).Aggregate(map, Move));
    }

    private static IEnumerable<(string Site, int Channel, bool IsLower, float Bound)> Crossings(SiteTransport site, float[] values)
    {
        if (site.Transport.Support is not { } support)
            yield break;
        for (var i = 0; i < values.Length; i++)
        {
            var (channel, z) = (i % site.Transport.Channels, values[i]);
            if (Math.Abs(z - support.Lo[channel]) <= Near)
                yield return (site.Site, channel, true, z > support.Lo[channel] ? z + 2 * Near : z - 2 * Near);
            if (Math.Abs(z - support.Hi[channel]) <= Near)
                yield return (site.Site, channel, false, z < support.Hi[channel] ? z - 2 * Near : z + 2 * Near);
        }
    }

    private static SteeringMap Move(SteeringMap map, (string Site, int Channel, bool IsLower, float Bound) to) =>
        new(map.Sites.Select(site => site.Site != to.Site || site.Transport.Support is not { } support ? site
            : new SiteTransport(site.Site, to.IsLower
                ? Transport.Of(site.Site, site.Transport.W, site.Transport.B, support.Lo.SetItem(to.Channel, to.Bound), support.Hi)
                : Transport.Of(site.Site, site.Transport.W, site.Transport.B, support.Lo, support.Hi.SetItem(to.Channel, to.Bound)))).ToList());
}
