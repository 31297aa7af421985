using System.Collections.Immutable;

namespace OnnxSteer.Onnx.Inference;

// Feature maps: which operators make them, and how their channels go through the others.
public sealed partial class FactTable
{
    private const int MinImageRank = 4;

    // Filters are [out, in / group, space...]; those of the runtime's channels-last convolution [out, space..., in / group].
    private ValueFacts Convolution(Node node)
    {
        var (facts, dims) = (Input(node, 0), WeightDims(node, 1));
        long? outputs = dims is not { Length: > 1 } sizes ? null : node.OpType == "ConvTranspose" ? sizes[1] * (node.Attribute("group")?.Int ?? 1) : sizes[0];
        return Image(facts with { Rank = facts.Rank ?? dims?.Length, LastDim = null }, node.OpType == "NhwcConv", outputs);
    }

    // The contrib operators take channels last unless told otherwise; ONNX's own have them first.
    private ValueFacts GroupNorm(Node node) =>
        Image(Input(node, 0) with { Rank = Input(node, 0).Rank ?? MinImageRank }, (node.Attribute("channels_last")?.Int ?? 1) == 1, Scales(node));

    // Up to opset 20 GroupNormalization has a scale a group, not a channel.
    private ValueFacts ChannelNorm(Node node) =>
        Image(Input(node, 0), false, node.Is("GroupNormalization") && !(_graph.Opset() >= 21) ? null : Scales(node));

    private long? Scales(Node node) => WeightDims(node, 1) is [var count] ? count : null;

    private static ValueFacts Image(ValueFacts facts, bool isChannelsLast, long? channels) =>
        facts.Rank < MinImageRank ? facts
        : isChannelsLast ? facts with { Layout = ImageLayout.ChannelsLast, LastDim = channels ?? facts.LastDim, FirstChannels = null }
        : facts with { Layout = ImageLayout.ChannelsFirst, FirstChannels = channels ?? facts.FirstChannels };

    // What changes the size of space alone.
    private ValueFacts Resized(Node node)
    {
        var facts = Input(node, 0);
        return facts.Layout == ImageLayout.ChannelsLast ? facts : facts with { LastDim = null };
    }

    // A sum or product is a feature map where one side is. One constant a channel, as a norm's weight, tells how many there are.
    private ValueFacts BroadcastImage(ImmutableArray<string> inputs, ValueFacts result)
    {
        if (result.Rank is not >= MinImageRank)
            return result;
        foreach (var facts in inputs.Where(name => name.Length > 0).Select(FactsOf).Where(facts => facts.Layout != ImageLayout.None && facts.Rank == result.Rank))
        {
            if (result.Layout != ImageLayout.None && result.Layout != facts.Layout)
                return result with { Layout = ImageLayout.None, FirstChannels = null };
            result = result with { Layout = facts.Layout, FirstChannels = facts.FirstChannels is > 1 ? facts.FirstChannels : result.FirstChannels ?? facts.FirstChannels };
        }
        if (result is not { Layout: ImageLayout.ChannelsFirst, FirstChannels: null or 1, Rank: { } rank })
            return result;
        var weight = inputs.Select(name => _graph.Constant(name)?.Dims).FirstOrDefault(dims => dims?.Length >= rank - 1 && dims.Value[^(rank - 1)] > 1);
        return result with { FirstChannels = weight?[^(rank - 1)] };
    }

    // A norm over groups that the exporter wrote out works on [batch, groups, rest], and goes back to the shape it came from.
    private ValueFacts Unfolded(Node node, ValueFacts result) =>
        result is { Layout: ImageLayout.None, Rank: >= MinImageRank } && node.Input(0) is { } name && _graph.Producer(name) is { OpType: "InstanceNormalization" }
            ? result with { Layout = ImageLayout.ChannelsFirst, LastDim = null } : result;

    private static (ImageLayout Layout, long? FirstChannels) Permuted(ValueFacts facts, IReadOnlyList<long> perm)
    {
        var rank = perm.Count;
        bool Is(IEnumerable<int> order) => perm.SequenceEqual(order.Select(axis => (long)axis));
        return facts.Layout switch
        {
            ImageLayout.ChannelsFirst when Is([0, .. Enumerable.Range(2, rank - 2), 1]) => (ImageLayout.ChannelsLast, null),
            ImageLayout.ChannelsLast when Is([0, rank - 1, .. Enumerable.Range(1, rank - 2)]) => (ImageLayout.ChannelsFirst, facts.LastDim),
            _ when Is(Enumerable.Range(0, rank)) => (facts.Layout, facts.FirstChannels),
            _ => (ImageLayout.None, null),
        };
    }

    private static bool IsChannelAxis(long axis, ValueFacts facts) => facts.Layout == ImageLayout.ChannelsFirst && (axis == 1 || axis == 1 - facts.Rank);
}
