using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>What one layer's attention hands to its output projection: its heads, one after the other on the last axis.</summary>
/// <param name="Projection">The output projection.</param>
/// <param name="Value">The value that it projects.</param>
/// <param name="Heads">How many heads.</param>
/// <param name="HeadSize">Channels of one.</param>
/// <param name="Evidence">What the number was told from.</param>
internal sealed record AttentionHeads(AuthoredNode Projection, string Value, int Heads, int HeadSize, string Evidence)
{
    private const int MaxSteps = 16;

    /// <summary>Finds the output projections by dataflow, and how many heads each reads.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="unknown">Told of projections whose heads cannot be counted.</param>
    public static IEnumerable<AttentionHeads> Of(AuthoredGraph graph, Action<AuthoredNode>? unknown = null)
    {
        foreach (var node in graph.Nodes.Where(node => Projections.Is(graph, node)))
        {
            var value = Rows(graph, Projections.Data(graph, node));
            if (Attention(graph, value) is not { } attention || graph.Producer(value) is null)
                continue;
            if (graph.Facts[value].LastDim is { } width && Count(graph, attention, width) is var (heads, how) && heads > 0 && width % heads == 0)
                yield return new AttentionHeads(node, value, (int)heads, (int)(width / heads), how);
            else
                unknown?.Invoke(node);
        }
    }

    // A projection may work on [batch * tokens, channels]; better is the value before, if its channels are the same.
    private static string Rows(AuthoredGraph graph, string value) =>
        graph.Producer(value) is { OpType: "Reshape" } reshape && reshape.Input(0) is { } source && graph.Producer(source) is { OpType: "Reshape" or "GroupQueryAttention" or "MultiHeadAttention" or "Attention" }
            && graph.Facts[source].LastDim == graph.Facts[value].LastDim && graph.Facts[value].LastDim is not null ? source : value;

    // The attention operator, or the product of weights and values, that a value is but another view of.
    private static AuthoredNode? Attention(AuthoredGraph graph, string value)
    {
        for (var steps = 0; steps < MaxSteps && graph.Producer(value) is { } node; steps++)
        {
            if (IsAttention(node))
                return node.Outputs[0] == value ? node : null;
            if (node.OpType == "MatMul")
                return node.Input(0) is { } weights && IsSoftmax(graph, weights) ? node : null;
            if ((!AuthoredGraph.IsPassive(node) && node.OpType != "Transpose") || node.Input(0) is not { } source)
                return null;
            value = source;
        }
        return null;
    }

    private static bool IsAttention(AuthoredNode node) =>
        node.OpType is "GroupQueryAttention" or "MultiHeadAttention" or "Attention" or "DecoderMaskedMultiHeadAttention" or "PagedAttention" or "SparseAttention";

    // Exporters guard against rows without any position by a select of zeros.
    private static bool IsSoftmax(AuthoredGraph graph, string value)
    {
        for (var steps = 0; steps < MaxSteps && graph.Producer(value) is { } node; steps++)
        {
            if (node.OpType == "Softmax")
                return true;
            if (node.OpType == "Where" ? node.Input(2) is not { } source : (!AuthoredGraph.IsPassive(node) && node.OpType is not ("Slice" or "Mul")) || (source = node.Input(0)!) is null)
                return false;
            value = source;
        }
        return false;
    }

    private static (long Heads, string How)? Count(AuthoredGraph graph, AuthoredNode attention, long width)
    {
        if ((attention.Node.Attribute("num_heads") ?? attention.Node.Attribute("q_num_heads")) is { Int: > 0 and var stated } attribute)
            return (stated, $"attribute '{attribute.Name}' of '{attention.Node.Label}'");
        if (graph.Facts[attention.Outputs[0]] is { Rank: 4, LastDim: > 0 and var size } && width % size == 0)
            return (width / size, $"heads of {size} in '{attention.Node.Label}'");
        // The values of the past have the size of a head.
        var past = graph.Graph.Model.Graph.Inputs.FirstOrDefault(input => input.Name.StartsWith("past", StringComparison.Ordinal) && input.Name.Contains("value", StringComparison.Ordinal));
        if (past?.Dims is [_, _, _, > 0 and var cached] && width % cached == 0)
            return (width / cached, $"heads of {cached} in the cache '{past.Name}'");
        return DecoderConfig.Of(graph.Graph.Model).HeadSize is { } configured && width % configured == 0 ? (width / configured, $"heads of {configured} by the configuration beside the model") : null;
    }
}

/// <summary>Products with weights, in all spellings: plain, fused, quantized.</summary>
internal static class Projections
{
    private const int MaxSteps = 8;

    public static bool Is(AuthoredGraph graph, AuthoredNode node) => node.OpType switch
    {
        "MatMulNBits" or "MatMulBnb4" => true,
        "MatMul" or "FusedMatMul" or "Gemm" or "FusedGemm" or "MatMulInteger" or "MatMulIntegerToFloat" or "DynamicQuantizeMatMul" or "QLinearMatMul" or "QGemm" =>
            node.Input(node.OpType is "QLinearMatMul" or "QGemm" ? 3 : 1) is { } weight && graph.IsWeight(weight),
        _ => false,
    };

    /// <summary>The floating point value that a projection reads.</summary>
    public static string Data(AuthoredGraph graph, AuthoredNode node)
    {
        var value = node.Inputs[0];
        for (var steps = 0; steps < MaxSteps && !graph.Facts[value].DataType.IsFloat() && graph.Producer(value)?.Input(0) is { } source; steps++)
            value = source;
        return value;
    }

    /// <summary>The projection whose result a value is, through bias, scales and reshapes; null for any other value.</summary>
    public static AuthoredNode? Of(AuthoredGraph graph, string value)
    {
        for (var steps = 0; steps < MaxSteps && graph.Producer(value) is { } node; steps++)
        {
            if (Is(graph, node))
                return node;
            var content = node.Inputs.Where(graph.IsContent).ToList();
            if (!AuthoredGraph.IsPassive(node) && (node.OpType is not ("Add" or "Mul") || (content.Count != 1 && !content.Exists(input => IsInteger(graph, input)))))
                return null;
            value = content.Count == 1 ? content[0] : content.Find(input => IsInteger(graph, input)) ?? node.Inputs[0];
        }
        return null;
    }

    // The product of quantized numbers, which is scaled by what depends on the content as well.
    private static bool IsInteger(AuthoredGraph graph, string value) => graph.Producer(graph.Source(value)) is { OpType: "MatMulInteger" };
}
