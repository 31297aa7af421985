using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>
/// ONNX Runtime's fused skip norms: output 0 is the norm of input + skip (+ bias), another output the sum itself.
/// </summary>
internal static class SkipNorm
{
    public static bool Is(Node node) =>
        node.OpType is "SkipSimplifiedLayerNormalization" or "SkipLayerNormalization" or "SkipGroupNorm" && node.Input(0) is not null && node.Input(Skip(node)) is not null;

    /// <summary>Which output is the sum.</summary>
    public static int SumOutput(Node node) => node.Is("SkipGroupNorm") ? 1 : 3;

    public static bool IsSum(Node node, string value) => Is(node) && node.Output(SumOutput(node)) == value;

    /// <summary>
    /// The input that a change of the sum goes in through: the skip, but of a group norm the input, since its skip may be one
    /// row for all of space.
    /// </summary>
    public static int ChangedInput(Node node) => node.Is("SkipGroupNorm") ? 0 : 1;

    /// <summary>The inputs that are added up, without the bias.</summary>
    public static int[] Summands(Node node) => [0, Skip(node)];

    /// <summary>The bias that the sum includes, or null.</summary>
    public static string? Bias(Node node) => node.Input(node.Is("SkipSimplifiedLayerNormalization") ? 3 : 4);

    /// <summary>Computes the sum as the node does.</summary>
    public static string Sum(Ops ops, string hint, Node node)
    {
        var skip = node.Inputs[Skip(node)];
        if (node.Is("SkipGroupNorm") && FactTable.Of(node.Graph)[skip].Rank == 2)
            skip = ops.Reshape(hint, skip, 0, 1, 1, -1);
        var sum = ops.Node(hint, "Add", node.Inputs[0], skip);
        return Bias(node) is { } bias ? ops.Node(hint, "Add", sum, bias) : sum;
    }

    private static int Skip(Node node) => node.Is("SkipGroupNorm") ? 3 : 1;
}
