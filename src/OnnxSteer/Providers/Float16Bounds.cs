using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// How large activations may be before anything a patch inserted overflows float16. Every inserted value is bounded by
/// <c>a*|z| + c</c>, z being any activation that the patch reads: parameters come scaled by the strength, so that a bound
/// grows by no factor that the steered value itself does not have. At a strength of at most <see cref="Strength"/>.
/// </summary>
/// <param name="Nodes">Inserted nodes that make float16 values.</param>
/// <param name="Limit">The largest |z| for which all of them stay finite.</param>
/// <param name="Node">The node that sets the limit; null where none is below float16's own.</param>
/// <param name="Strength">The strength the bounds hold for, 1 or the default where that is larger.</param>
/// <param name="Unproved">Inserted nodes that no bound is known for, and constants that are not finite.</param>
public sealed record Float16Bounds(int Nodes, double Limit, string? Node, double Strength, ImmutableArray<string> Unproved)
{
    private const double Largest = 65504;

    // |value| <= Factor*|z| + Constant.
    private readonly record struct Bound(double Factor, double Constant)
    {
        public static Bound Activation { get; } = new(1, 0);

        public static Bound operator +(Bound a, Bound b) => new(a.Factor + b.Factor, a.Constant + b.Constant);

        public static Bound Max(Bound a, Bound b) => new(Math.Max(a.Factor, b.Factor), Math.Max(a.Constant, b.Constant));

        public Bound Times(double constant) => new(Factor * constant, Constant * constant);
    }

    internal static Float16Bounds? Of(Model model)
    {
        var bounds = new Dictionary<string, Bound?>();
        var unproved = ImmutableArray.CreateBuilder<string>();
        var (count, limit, where) = (0, Largest, (string?)null);
        var strength = Math.Max(1, Dials(model).Select(dial => Math.Abs((double)LargestOf(dial))).DefaultIfEmpty(1).Max());
        foreach (var graph in model.Graphs)
            foreach (var node in graph.Nodes.Where(Names.IsInserted))
            {
                Bound? Known(string name) => bounds.TryGetValue(name, out var bound) ? bound : Source(graph, name, strength);
                var result = Of(node, Known);
                foreach (var output in node.Outputs.Where(output => output.Length > 0))
                    bounds[output] = result;
                if (node.Output(0) is not { } value || FactTable.Of(graph)[value].DataType != DataType.Float16)
                    continue;
                count++;
                if (result is not { } bounded)
                    unproved.Add($"{node}: no bound is known for what it makes");
                else if (!(bounded.Factor <= Largest && bounded.Constant < Largest))
                    unproved.Add($"{node}: its parameters reach {Math.Max(bounded.Factor, bounded.Constant):G6}; float16 ends at {Largest}");
                else if (bounded.Factor > 0 && (Largest - bounded.Constant) / bounded.Factor < limit)
                    (limit, where) = ((Largest - bounded.Constant) / bounded.Factor, node.ToString());
            }
        return count == 0 ? null : new Float16Bounds(count, limit, where, strength, unproved.ToImmutable());
    }

    private static IEnumerable<Tensor> Dials(Model model) =>
        model.Graph.Inputs.Where(input => input.Name.StartsWith(Steering.DialOf(""), StringComparison.Ordinal)).Select(input => model.Graph.Initializer(input.Name)).OfType<Tensor>();

    // What was there before is an activation, constants are as large as their largest element, a dial as the strength.
    private static Bound? Source(Graph graph, string name, double strength)
    {
        if (name.StartsWith(Steering.DialOf(""), StringComparison.Ordinal) && graph.Initializer(name) is not null && graph.Model.Graph.Inputs.Any(input => input.Name == name))
            return new Bound(0, strength);
        return graph.Constant(name) is not { } tensor ? Bound.Activation : tensor.DataType.IsFloat() ? new Bound(0, LargestOf(tensor)) : Bound.Activation;
    }

    private static double LargestOf(Tensor tensor)
    {
        var largest = 0.0;
        foreach (double value in tensor.ToSingles())
            largest = double.IsFinite(value) ? Math.Max(largest, Math.Abs(value)) : double.PositiveInfinity;
        return largest;
    }

    private static Bound? Of(Node node, Func<string, Bound?> known)
    {
        Bound? Input(int index) => node.Input(index) is { } name ? known(name) : null;
        return node.OpType switch
        {
            "Add" or "Sub" => Input(0) + Input(1),
            "Mul" when Input(0) is { } a && Input(1) is { } b => a.Factor == 0 ? b.Times(a.Constant) : b.Factor == 0 ? a.Times(b.Constant) : null,
            "Where" => Input(1) is { } a && Input(2) is { } b ? Bound.Max(a, b) : null,
            "Max" or "Min" or "Concat" => node.Inputs.Select((_, i) => Input(i)).Aggregate((a, b) => a is { } x && b is { } y ? Bound.Max(x, y) : null),
            "Cast" or "Reshape" or "Split" or "Gather" or "Unsqueeze" or "Squeeze" or "Transpose" or "Identity" or "Expand" or "Slice" or "ReduceMean" or "ReduceMax" or "ReduceMin" => Input(0),
            _ => null,
        };
    }
}
