using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>Biases of projections that the operator which reads the product adds.</summary>
internal static class FusedBias
{
    /// <summary>
    /// The bias that a value lacks of its module's output, because the operator that reads it adds it: fused skip norms and
    /// activations. Null for none.
    /// </summary>
    public static string? Of(AuthoredGraph graph, string value)
    {
        if (ProductOf(graph, value) is not { } product)
            return null;
        return graph.Consumers(value).Select(reader => reader.OpType switch
        {
            "BiasGelu" or "FastGelu" or "BiasSplitGelu" or "BiasAdd" when reader.Input(0) == value => reader.Input(1),
            _ when SkipNorm.Is(reader.Node) && (reader.Input(0) == value || reader.Input(1) == value) => SkipNorm.Bias(reader.Node),
            _ => null,
        }).FirstOrDefault(bias => bias is not null && graph.IsWeight(bias)
            // A shift of the sum itself, folded into the norm, is none of the product's.
            && (!bias.Contains(Names.Mark, StringComparison.Ordinal) || bias.StartsWith(FoldedMode.BiasOf(product.Node), StringComparison.Ordinal)));
    }

    /// <summary>Whether a value lacks a bias that attention adds inside, a part of one for queries, keys and values: the module's output is nowhere.</summary>
    public static bool IsInside(AuthoredGraph graph, string value) => graph.Consumers(value).Any(reader => InAttention(reader).Contains(value)) && ProductOf(graph, value) is not null;

    /// <summary>The queries, keys and values that an attention operator adds a bias to; none for other nodes.</summary>
    public static IEnumerable<string> InAttention(AuthoredNode node) =>
        node.OpType is "MultiHeadAttention" or "DecoderMaskedMultiHeadAttention" && node.Input(node.OpType == "MultiHeadAttention" ? 3 : 10) is not null
            ? Enumerable.Range(0, 3).Select(node.Input).OfType<string>() : [];

    // A matrix product without a bias of its own.
    private static AuthoredNode? ProductOf(AuthoredGraph graph, string value) =>
        graph.Producer(graph.Source(value)) is { OpType: "MatMul" or "FusedMatMul" or "MatMulNBits" } product && product.Input(5) is null ? product : null;
}
