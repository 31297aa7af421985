using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// Annotations that contradict the cache: a value made of past and new tokens together, by nothing but changes of shape,
/// that is stated to have the new tokens' number. onnxruntime-genai's builder writes them around <c>repeat_kv</c>; ONNX Runtime plans its
/// memory by them and fails at the first decoding step.
/// </summary>
public static class CacheAnnotations
{
    /// <summary>The edits that take them away; none where all is well.</summary>
    /// <param name="model">The model, or what pruning left of it.</param>
    /// <param name="signature">Its signature.</param>
    public static ImmutableArray<Remove> Wrong(Model model, DecoderSignature signature)
    {
        if (Symbols(model.Graph.Info(signature.InputIds)) is not [_, { Length: > 0 } tokens])
            return [];
        var reached = new HashSet<string>(signature.Cache.Where(tensor => !Symbols(model.Graph.Info(tensor.Present)).Contains(tokens)).Select(tensor => tensor.Present));
        var queue = new Queue<string>(reached);
        while (queue.TryDequeue(out var value))
            foreach (var node in model.Graph.Consumers(value).Where(node => node.Input(0) == value && node.OpType is "Unsqueeze" or "Squeeze" or "Expand" or "Reshape" or "Transpose" or "Identity" or "Cast"))
                if (reached.Add(node.Outputs[0]))
                    queue.Enqueue(node.Outputs[0]);
        return [.. model.Graph.ValueInfos.Index().Where(entry => reached.Contains(entry.Item.Name) && Symbols(entry.Item).Contains(tokens))
            .Select(entry => new Remove("contradicts the cache", Graph.MainPath, Part.ValueInfo, entry.Index))];
    }

    private static ImmutableArray<string> Symbols(ValueInfo? info) => info?.Type?.TensorType?.Shape is { } shape ? [.. shape.Dim.Select(dim => dim.DimParam)] : [];
}
