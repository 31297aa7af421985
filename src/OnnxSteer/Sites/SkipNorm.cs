using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>ONNX Runtime's fused skip norms: output 0 is the norm of input + skip (+ bias), output 3 the sum itself.</summary>
internal static class SkipNorm
{
    public const int SkipInput = 1, SumOutput = 3;

    public static bool Is(Node node) => node.OpType is "SkipSimplifiedLayerNormalization" or "SkipLayerNormalization";

    public static bool IsSum(Node node, string value) => Is(node) && node.Output(SumOutput) == value;

    /// <summary>The bias that the sum includes, or null.</summary>
    public static string? Bias(Node node) => node.Input(node.OpType == "SkipLayerNormalization" ? 4 : 3);
}
