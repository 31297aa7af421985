using System.Collections.Immutable;

namespace OnnxSteer.Onnx.Inference;

// Lists of sizes that are reckoned in the graph, as for a Reshape: sizes of axes, cut, put together and calculated with.
public sealed partial class FactTable
{
    private const int MaxSizeSteps = 16, MaxSizes = 64;

    private readonly Dictionary<string, ImmutableArray<AxisSize>?> _sizes = [];

    /// <summary>A number; or the size of a value's axis, whatever it is; or unknown.</summary>
    private readonly record struct AxisSize(long? Number, string? Value = null, int Axis = 0);

    /// <summary>The single integer that a value is known to hold, or null: a constant, the size of an axis, or what is reckoned from such.</summary>
    public long? Integer(string value) => Size(value);

    private long? Size(string? name) => name is not null && Sizes(name) is [var only] ? only.Number : null;

    private ImmutableArray<AxisSize>? Sizes(string? name, int steps = 0)
    {
        if (name is null || steps > MaxSizeSteps)
            return null;
        if (_sizes.TryGetValue(name, out var known))
            return known;
        var sizes = FindSizes(name, steps + 1);
        return _sizes[name] = sizes is { Length: > MaxSizes } ? null : sizes;
    }

    private ImmutableArray<AxisSize>? FindSizes(string name, int steps)
    {
        if (_graph.Constant(name) is { DataType: DataType.Int64, ElementCount: <= MaxSizes, Dims.Length: <= 1 } tensor)
            return [.. tensor.ToInt64s().Select(number => new AxisSize(number))];
        if (_graph.Producer(name) is not { } node)
            return null;
        return node.OpType switch
        {
            "Constant" when Integers(name) is { } numbers => [.. numbers.Take(MaxSizes).Select(number => new AxisSize(number))],
            "Shape" => Axes(node, Input(node, 0)),
            "Unsqueeze" or "Squeeze" or "Cast" or "Identity" => Sizes(node.Input(0), steps),
            "Reshape" when Sizes(node.Input(0), steps) is [var only] => [only],
            "Gather" when Sizes(node.Input(0), steps) is { } from && Sizes(node.Input(1), steps) is [{ Number: { } index }] =>
                At(from, index) is { } at ? [from[at]] : null,
            "Slice" when Sizes(node.Input(0), steps) is { } from && Bound(node, "starts", 1, steps) is { } start && Bound(node, "ends", 2, steps) is { } end
                && (node.Input(4) is null || Sizes(node.Input(4), steps) is [{ Number: 1 }]) => Cut(from, start, end),
            "Concat" => Join([.. node.Inputs.Select(input => Sizes(input, steps))]),
            "Add" or "Sub" or "Mul" or "Div" or "Mod" when Sizes(node.Input(0), steps) is [var left] && Sizes(node.Input(1), steps) is [var right] =>
                [new AxisSize(left.Number is { } a && right.Number is { } b ? Reckon(node.OpType, a, b) : null)],
            _ => null,
        };
    }

    private static long? Reckon(string op, long a, long b) => op switch
    {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => b > 0 ? a / b : null,
        // The sign is the divisor's.
        _ => b > 0 ? ((a % b) + b) % b : null,
    };

    private static ImmutableArray<AxisSize>? Axes(Node node, ValueFacts facts)
    {
        if (facts.Rank is not { } rank || rank > MaxSizes)
            return null;
        var axes = Enumerable.Range(0, rank).Select(axis => new AxisSize(SizeOf(facts, axis), node.Inputs[0], axis)).ToImmutableArray();
        return Cut(axes, node.Attribute("start")?.Int ?? 0, node.Attribute("end")?.Int ?? rank);
    }

    private static long? SizeOf(ValueFacts facts, int axis) =>
        axis == facts.Rank - 1 ? facts.LastDim : axis == 1 && facts.Layout == ImageLayout.ChannelsFirst ? facts.FirstChannels : null;

    private long? Bound(Node node, string attribute, int input, int steps) =>
        node.Attribute(attribute)?.Ints is [var bound] ? bound : Sizes(node.Input(input), steps) is [{ Number: var number }] ? number : null;

    private static int? At(ImmutableArray<AxisSize> sizes, long index) => (index < 0 ? index + sizes.Length : index) is var at && at >= 0 && at < sizes.Length ? (int)at : null;

    private static ImmutableArray<AxisSize> Cut(ImmutableArray<AxisSize> sizes, long start, long end)
    {
        int From(long index) => (int)Math.Clamp(index < 0 ? index + sizes.Length : index, 0, sizes.Length);
        return From(start) < From(end) ? sizes[From(start)..From(end)] : [];
    }

    private static ImmutableArray<AxisSize>? Join(ImmutableArray<ImmutableArray<AxisSize>?> parts) =>
        parts.Any(part => part is null) ? null : [.. parts.SelectMany(part => part!.Value)];

    // The last axis of what a list of sizes shapes. A -1 takes what the others leave: axes that are the same on both sides cancel.
    private long? LastOf(Node node, ImmutableArray<AxisSize> sizes)
    {
        var facts = Input(node, 0);
        var last = sizes[^1].Number;
        if (last > 0)
            return last;
        if (last == 0 && node.Attribute("allowzero")?.Int is null or 0)
            return sizes.Length == facts.Rank ? facts.LastDim : null;
        if (last != -1 || facts is not { Rank: { } rank, LastDim: not null })
            return null;
        var left = Enumerable.Range(0, rank).Select(axis => new AxisSize(SizeOf(facts, axis), node.Inputs[0], axis)).ToList();
        long product = 1;
        foreach (var (axis, size) in sizes[..^1].Index())
            // A 0 keeps the size of that axis.
            if (left.FindIndex(other => (other.Value == size.Value && other.Axis == size.Axis) || (size.Number == 0 && other.Axis == axis)) is >= 0 and var same)
                left.RemoveAt(same);
            else if (size.Number is > 0 and var number)
                product *= number;
            else
                return null;
        if (left.Exists(size => size.Number is null))
            return null;
        var all = left.Aggregate(1L, (all, size) => all * size.Number!.Value);
        return product > 0 && all % product == 0 ? all / product : null;
    }
}
