using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

// Operators with weights and biases.
internal sealed partial class Folder
{
    // The sum inside a fused skip norm takes a shift through the norm's bias.
    private FoldResult Sum(Node node, Goal goal)
    {
        if (goal.IsScaled)
            return FoldResult.Refused($"the sum is made inside {node}, which has a bias for it but no factor");
        return node.OpType switch
        {
            "SkipSimplifiedLayerNormalization" => Bias(node, goal, 3, 2),
            "SkipLayerNormalization" => Bias(node, goal, 4, 2),
            "SkipGroupNorm" => Bias(node, goal, 4, 0),
            _ => FoldResult.Refused($"{node} has no bias for its sum"),
        };
    }

    private FoldResult MissingBias(SteeredValue value, Goal goal)
    {
        var reader = value.Node.Graph.Consumers(value.Place.At.Value).SelectMany(node => node.Inputs.Index(), (node, input) => (Node: node, Input: input)).FirstOrDefault(read => read.Input.Item == value.Place.MissingBias);
        return reader.Node is null || Constants.Reads(value.Node.Graph, value.Place.At.Value) != 1
            ? FoldResult.Refused($"'{value.Place.At.Value}' lacks a bias that no node, or more than one, adds")
            : Bias(reader.Node, goal.Unscaled, reader.Input.Index, null);
    }

    // A fused skip norm that alone reads the value has a bias for its sum, where a shift does the same. What is left of the site
    // there lacks that bias, as it does where an optimizer has fused one.
    private FoldResult NoBias(Node node, string value, Goal goal)
    {
        if (!goal.IsShifted)
            return FoldResult.Nothing;
        return Constants.Reads(node.Graph, value) == 1 && node.Graph.Consumers(value).FirstOrDefault() is { } reader && SkipNorm.Is(reader) && reader.Inputs.IndexOf(value) <= 1
            ? Sum(reader, goal.Unscaled).OwnedBy(node) : FoldResult.Refused($"{node} has no bias, and the map shifts");
    }

    private FoldResult Norm(Node node, string value, Goal goal, int scale, int? bias)
    {
        if (node.Output(0) != value)
            return FoldResult.Refused($"'{value}' is another output of {node} than its norm");
        if (bias is null && goal.IsShifted)
            return FoldResult.Refused($"{node} has no bias, and the map shifts");
        var scaled = FoldResult.Nothing;
        if (goal.IsScaled)
            scaled = PerChannel(node, scale, goal with { Trailing = 0 }, axis => TensorChange.Scale(axis, goal.W)) is { } use ? FoldResult.Of(use)
                : FoldResult.Refused($"the scale of {node} is no constant with a number for each of {goal.Channels} channels");
        return bias is { } input ? scaled.And(Bias(node, goal, input, scale)) : scaled;
    }

    private FoldResult Gemm(Node node, Goal goal)
    {
        var beta = node.Attribute("beta")?.Float ?? 1;
        if (goal.IsShifted && beta == 0)
            return FoldResult.Refused($"{node} multiplies its bias by 0");
        var bias = goal with { B = [.. goal.B.Select(b => b == 0 ? 0 : b / beta)] };
        return Matrix(node, goal, 1, node.Attribute("transB")?.Int == 1 ? -2 : -1).And(beta == 0 ? FoldResult.Nothing : Bias(node, bias, 2, 1));
    }

    // Each row of codes has scales of its own; zero points lie inside: scale*(q - zero).
    private FoldResult Nbits(Node node, Goal goal)
    {
        const int scales = 2;
        if (node.Domain != "com.microsoft" || node.Attribute("N")?.Int != goal.Channels)
            return FoldResult.Refused($"{node} is no MatMulNBits of {goal.Channels} columns");
        var scaled = FoldResult.Nothing;
        if (goal.IsScaled)
        {
            if (Constants.Find(node, scales, 0) is not { } found || found.Tensor.ElementCount % goal.Channels != 0)
                return FoldResult.Refused($"the scales of {node} are no constant of floating point numbers");
            // Their shape may be flat: a channel's numbers lie together either way.
            var change = new TensorChange(0, goal.W, new double[goal.Channels]);
            scaled = FoldResult.Of(new ConstantUse(found.Reader, found.Input, found.Tensor, 0, found.Tensor.DataType, [.. found.Tensor.Dims], change));
        }
        return scaled.And(Bias(node, goal, 5, scales));
    }

    private FoldResult Rows(Node node, Goal goal) =>
        Constants.Find(node, 0, -1) is { } found && found.Tensor.Dims.Length == 2 && found.Tensor.Dims[^1] == goal.Channels
            ? FoldResult.Of(new ConstantUse(found.Reader, found.Input, found.Tensor, 0, found.Tensor.DataType, [.. found.Tensor.Dims], goal.At(found.Axis)))
            : FoldResult.Refused($"{node} looks rows up in what is no constant table of floating point numbers");

    // Weights whose axis is the channels'.
    private FoldResult Matrix(Node node, Goal goal, int input, int axis)
    {
        if (!goal.IsScaled)
            return FoldResult.Nothing;
        if (Constants.Find(node, input, axis) is not { } found)
            return FoldResult.Refused($"the weights of {node} are no constant of floating point numbers that only it reads");
        return found.Tensor.Dims.Length >= 2 && found.Axis >= 0 && found.Axis < found.Tensor.Dims.Length && found.Tensor.Dims[found.Axis] == goal.Channels
            ? FoldResult.Of(new ConstantUse(found.Reader, found.Input, found.Tensor, 0, found.Tensor.DataType, [.. found.Tensor.Dims], TensorChange.Scale(found.Axis, goal.W)))
            : FoldResult.Refused($"the weights of {node} have shape [{string.Join(", ", found.Tensor.Dims)}], which does not hold {goal.Channels} channels at axis {found.Axis}");
    }

    // A bias with a number a channel, or that is left out. Its type is that of another input.
    private FoldResult Bias(Node node, Goal goal, int input, int? like)
    {
        goal = goal with { Trailing = 0 };
        if (node.Input(input) is null)
        {
            if (!goal.IsShifted)
                return FoldResult.Nothing;
            var type = like is { } other && node.Input(other) is { } name ? FactTable.Of(node.Graph)[name].DataType : DataType.Undefined;
            if (!type.IsFloat())
                return FoldResult.Refused($"{node} has no bias, and it is not known of which type it would be");
            return FoldResult.Of(new ConstantUse(node, input, null, 0, type, [goal.Channels], goal.At(0)));
        }
        return PerChannel(node, input, goal, goal.At) is { } use ? FoldResult.Of(use)
            : FoldResult.Refused($"the bias of {node} is no constant with a number for each of {goal.Channels} channels");
    }

    // A constant that holds one number a channel, or one for all; else null.
    private ConstantUse? PerChannel(Node node, int input, Goal goal, Func<int, TensorChange> change)
    {
        if (Constants.Find(node, input, -1 - goal.Trailing) is not { } found)
            return null;
        var tensor = found.Tensor;
        long[] dims = [goal.Channels, .. Enumerable.Repeat(1L, goal.Trailing)];
        if (tensor.ElementCount == goal.Channels && found.Axis >= 0 && found.Axis < tensor.Dims.Length && tensor.Dims[found.Axis] == goal.Channels)
            return new ConstantUse(found.Reader, found.Input, tensor, 0, tensor.DataType, [.. tensor.Dims], change(found.Axis));
        // Through a transpose one number would have to take another shape there.
        return tensor.ElementCount == 1 && found.Reader == node
            ? new ConstantUse(node, input, null, Floats.Read(tensor.DataType, tensor.ToBytes()), tensor.DataType, dims, change(0)) : null;
    }
}
