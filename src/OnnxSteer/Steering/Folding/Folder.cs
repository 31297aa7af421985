using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>
/// Brings <c>z*w + b</c> of a value into the constants of what makes it: where the value is a sum with a constant, a product with one,
/// a norm, a matrix product, a convolution, or any of these seen through a reshape, a transpose, a cast or a split.
/// </summary>
internal sealed partial class Folder(Model model)
{
    private const int MaxDepth = 12;
    private readonly Dictionary<(Node Reader, int Input), (ConstantUse Use, SteeredValue Value)> _uses = [];

    /// <summary>Finds and counts constants.</summary>
    public Constants Constants { get; } = new(model);

    /// <summary>
    /// What has been folded so far. A constant that several values change, one behind the other, takes all their changes in execution
    /// order.
    /// </summary>
    public IEnumerable<ConstantUse> Uses => _uses.Values.Select(entry => entry.Use);

    /// <summary>Which value a use is for.</summary>
    public SteeredValue OwnerOf(ConstantUse use) => _uses[(use.Reader, use.Input)].Value;

    /// <summary>Folds what a map does to a value at a strength.</summary>
    /// <returns>Why that cannot be, or null.</returns>
    public string? Fold(SteeredValue value, float strength)
    {
        var result = Find(value, strength);
        foreach (var use in result.Uses)
            _uses[(use.Reader, use.Input)] = (After(use), value);
        return result.Obstacle;
    }

    // A use behind what the values before it did to the same constant.
    private ConstantUse After(ConstantUse use) =>
        _uses.TryGetValue((use.Reader, use.Input), out var earlier) ? earlier.Use with { Change = earlier.Use.Change.Then(use.Change) } : use;

    private FoldResult Find(SteeredValue value, float strength)
    {
        var map = value.Maps[0];
        var (w, b) = map.Scaled(strength, isChange: false);
        if (map.HasSupport)
            return FoldResult.Refused("the map has bounds, which need a selection");
        if (value.ShiftsByMean && map.HasScale)
            return FoldResult.Refused("the map acts on the mean over space of a feature map");
        var goal = new Goal(w, b, value.TrailingAxes);
        if (value.IsSum)
            return Sum(value.Node, goal);
        if (value.Place.Hook == Hook.BeforeBias)
            // What the value lacks takes the shift: c + b' = w*c + b, where b' = b + (w-1)*c.
            return Value(value.Node.Graph, value.Place.At.Value, goal with { B = new double[b.Length] }, 0).And(MissingBias(value, goal));
        return Value(value.Node.Graph, value.Place.At.Value, goal, 0);
    }

    /// <summary>What a value is to become, channel by channel, with so many axes behind the channels'.</summary>
    private sealed record Goal(double[] W, double[] B, int Trailing)
    {
        public int Channels => W.Length;

        public bool IsScaled => W.Any(w => w != 1);

        public bool IsShifted => B.Any(b => b != 0);

        public Goal Unshifted => this with { B = new double[Channels] };

        public Goal Unscaled => this with { W = [.. W.Select(_ => 1.0)] };

        public TensorChange At(int axis) => new(axis, W, B);
    }

    private FoldResult Value(Graph graph, string value, Goal goal, int depth)
    {
        if (goal is { IsScaled: false, IsShifted: false })
            return FoldResult.Nothing;
        if (depth > MaxDepth || graph.Producer(value) is not { } node)
            return FoldResult.Refused($"'{value}' is not made by a node with constants of its own");
        return node.Domain is "" or "ai.onnx" or "com.microsoft" ? Made(node, value, goal, depth) : FoldResult.Refused($"{node} is of the domain '{node.Domain}', which is not known");
    }

    private FoldResult Made(Node node, string value, Goal goal, int depth) => (node.OpType, goal.Trailing) switch
    {
        ("Add", _) => Add(node, goal, depth),
        ("Sub", _) => Sub(node, goal, depth),
        ("Mul", _) => Mul(node, goal, depth),
        ("Div", _) => Div(node, goal, depth),
        ("MatMul", 0) => Matrix(node, goal, 1, -1).And(NoBias(node, value, goal)),
        ("FusedMatMul", 0) when (node.Attribute("transBatchB")?.Int ?? 0) == 0 => Matrix(node, goal, 1, node.Attribute("transB")?.Int == 1 ? -2 : -1).And(NoBias(node, value, goal)),
        ("Gemm", 0) => Gemm(node, goal),
        ("MatMulNBits", 0) => Nbits(node, goal),
        ("Conv", > 0) => Matrix(node, goal, 1, 0).And(Bias(node, goal, 2, 1)),
        ("ConvTranspose", > 0) when (node.Attribute("group")?.Int ?? 1) == 1 => Matrix(node, goal, 1, 1).And(Bias(node, goal, 2, 1)),
        ("NhwcConv", 0) => Matrix(node, goal, 1, 0).And(Bias(node, goal, 2, 1)),
        ("LayerNormalization", 0) => Norm(node, value, goal, 1, 2),
        ("SimplifiedLayerNormalization" or "RMSNormalization", 0) => Norm(node, value, goal, 1, null),
        ("SkipSimplifiedLayerNormalization", 0) when node.Output(0) == value => Norm(node, value, goal, 2, null),
        ("SkipLayerNormalization", 0) when node.Output(0) == value => Norm(node, value, goal, 2, 3),
        ("GroupNorm" or "SkipGroupNorm", 0) when (node.Attribute("activation")?.Int ?? 0) == 0 => Norm(node, value, goal, 1, 2),
        ("InstanceNormalization" or "BatchNormalization" or "GroupNormalization", > 0) => Norm(node, value, goal, 1, 2),
        ("Gather", 0) when (node.Attribute("axis")?.Int ?? 0) == 0 => Rows(node, goal),
        ("Identity" or "Cast", _) => Inner(node, 0, goal, depth),
        ("Reshape", 0) => Reshape(node, goal, depth),
        ("Transpose", _) => Transpose(node, goal, depth),
        ("Split", 0) => Split(node, value, goal, depth),
        _ => FoldResult.Refused($"{node} has no constants that would scale and shift each channel"),
    };

    // An operand that nothing else reads.
    private FoldResult Inner(Node node, int input, Goal goal, int depth)
    {
        if (goal is { IsScaled: false, IsShifted: false })
            return FoldResult.Nothing;
        if (node.Input(input) is not { } value || !node.Graph.Defines(value))
            return FoldResult.Refused($"{node} reads what is made elsewhere");
        return Constants.Reads(node.Graph, value) == 1 ? Value(node.Graph, value, goal, depth + 1)
            : FoldResult.Refused($"'{value}', which {node} reads, is read by others too");
    }

    // (x + c)*w + b = x*w + (c*w + b); a sum of two values that vary takes a shift in one of them.
    private FoldResult Add(Node node, Goal goal, int depth)
    {
        foreach (var (constant, other) in new[] { (1, 0), (0, 1) })
            if (PerChannel(node, constant, goal, goal.At) is { } use)
                return Inner(node, other, goal.Unshifted, depth).And(FoldResult.Of(use));
        return Inner(node, 1, goal, depth).And(Inner(node, 0, goal.Unshifted, depth))
            .Or(() => Inner(node, 0, goal, depth).And(Inner(node, 1, goal.Unshifted, depth)));
    }

    private FoldResult Sub(Node node, Goal goal, int depth) =>
        PerChannel(node, 1, goal, axis => new TensorChange(axis, goal.W, [.. goal.B.Select(b => -b)])) is { } use
            ? Inner(node, 0, goal.Unshifted, depth).And(FoldResult.Of(use))
            : FoldResult.Refused($"{node} subtracts no constant");

    // x*c*w = x*(c*w); a shift must be brought in before: (x + b/(c*w))*(c*w).
    private FoldResult Mul(Node node, Goal goal, int depth)
    {
        foreach (var (constant, other) in new[] { (1, 0), (0, 1) })
            if (PerChannel(node, constant, goal, axis => TensorChange.Scale(axis, goal.W)) is { } use)
            {
                if (!goal.IsShifted)
                    return FoldResult.Of(use);
                var factors = After(use).Numbers();
                if (goal.B.Where((b, i) => b != 0 && factors[i] == 0).Any())
                    return FoldResult.Refused($"{node} multiplies a channel by 0, behind which a shift cannot be brought in");
                var shift = goal.B.Select((b, i) => b == 0 ? 0 : b / factors[i]).ToArray();
                return (Inner(node, other, goal.Unscaled with { B = shift }, depth) is { Obstacle: null } inner ? inner
                    : FoldResult.Refused($"{node} multiplies by a constant, but nothing there adds one, and the map shifts")).And(goal.IsScaled ? FoldResult.Of(use) : FoldResult.Nothing);
            }
        return goal.IsShifted ? FoldResult.Refused($"{node} multiplies two values that vary, and the map shifts")
            : Inner(node, 1, goal, depth).Or(() => Inner(node, 0, goal, depth));
    }

    private FoldResult Div(Node node, Goal goal, int depth) =>
        PerChannel(node, 1, goal, axis => TensorChange.Scale(axis, goal.Unscaled.W)) is { } use
            ? Inner(node, 0, goal with { B = [.. goal.B.Zip(After(use).Numbers(), (b, c) => b * c)] }, depth)
            : FoldResult.Refused($"{node} divides by no constant");

    private FoldResult Reshape(Node node, Goal goal, int depth)
    {
        // Heads side by side are as many channels over and over.
        if (node.Input(0) is not { } value || FactTable.Of(node.Graph)[value].LastDim is not { } width || width % goal.Channels != 0)
            return FoldResult.Refused($"{node} mixes channels with other axes");
        var times = (int)(width / goal.Channels);
        return Inner(node, 0, goal with { W = Repeated(goal.W), B = Repeated(goal.B) }, depth);

        double[] Repeated(double[] numbers) => [.. Enumerable.Repeat(numbers, times).SelectMany(all => all)];
    }

    private FoldResult Transpose(Node node, Goal goal, int depth)
    {
        if (node.Attribute("perm")?.Ints is not { Count: > 0 } perm || goal.Trailing >= perm.Count)
            return FoldResult.Refused($"{node} does not say where it puts the channels");
        return Inner(node, 0, goal with { Trailing = perm.Count - 1 - (int)perm[perm.Count - 1 - goal.Trailing] }, depth);
    }

    // The other parts stay as they are.
    private FoldResult Split(Node node, string value, Goal goal, int depth)
    {
        var widths = node.Outputs.Select(output => FactTable.Of(node.Graph)[output].LastDim ?? 0).ToList();
        if ((node.Attribute("axis")?.Int ?? 0) is var axis && axis != -1 && axis != (node.Input(0) is { } input ? FactTable.Of(node.Graph)[input].Rank : null) - 1)
            return FoldResult.Refused($"{node} does not split channels");
        var at = node.Outputs.IndexOf(value);
        if (widths.Exists(width => width <= 0) || widths[at] != goal.Channels)
            return FoldResult.Refused($"{node} has parts of unknown size");
        int before = (int)widths.Take(at).Sum(), behind = (int)widths.Skip(at + 1).Sum();
        return Inner(node, 0, goal with
        {
            W = [.. Enumerable.Repeat(1.0, before), .. goal.W, .. Enumerable.Repeat(1.0, behind)],
            B = [.. new double[before], .. goal.B, .. new double[behind]],
        }, depth);
    }
}
