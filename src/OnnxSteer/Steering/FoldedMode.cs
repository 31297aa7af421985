using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

internal static class FoldedMode
{
    public static GraphPatch Of(Model model, IReadOnlyList<SteeredValue> values, SteeringOptions options) => throw new NotSupportedException();
}
