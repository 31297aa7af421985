namespace OnnxSteer.Onnx.Inference;

// What reads a value tells its last axis where what makes it does not: weights have as many rows, norms as many scales.
public sealed partial class FactTable
{
    private readonly Dictionary<string, long> _read = [];

    // From the last node to the first, so that sizes go back through operators that keep them. Tells whether there is news.
    private bool PassBack()
    {
        var before = _read.Count;
        foreach (var node in _graph.Nodes.Reverse())
        {
            if (node.Input(0) is not { } first || node.Output(0) is not { } made)
                continue;
            switch (node.OpType)
            {
                case "MatMul" or "FusedMatMul" or "Gemm" when WeightDims(node, 1) is { Length: 2 } dims && node.Attribute("transA")?.Int is null or 0:
                    Read(first, dims[IsTransposed(node) ? 1 : 0]);
                    break;
                case "MatMulNBits":
                    Read(first, node.Attribute("K")?.Int);
                    break;
                case "LayerNormalization" or "SimplifiedLayerNormalization" or "RMSNormalization" when WeightDims(node, 1) is [var channels]:
                    Read(first, channels);
                    break;
                case "Cast" or "Identity" or "Dropout" or "Relu" or "Sigmoid" or "Tanh" or "Gelu" or "FastGelu" or "QuickGelu" or "DequantizeLinear" or "QuantizeLinear":
                    Read(first, LastRead(made));
                    break;
                case "Concat" when LastRead(made) is { } all && IsLast(node.Attribute("axis")?.Int ?? 0, this[made].Rank):
                    if (node.Inputs.Where(input => LastRead(input) is null).ToList() is [var unknown])
                        Read(unknown, all - node.Inputs.Sum(input => LastRead(input) ?? 0));
                    break;
            }
        }
        return _read.Count > before;
    }

    private long? LastRead(string value) => this[value].LastDim ?? (_read.TryGetValue(value, out var size) ? size : null);

    private void Read(string value, long? size)
    {
        if (size > 0 && this[value] is { LastDim: null, Layout: not ImageLayout.ChannelsFirst, Rank: not 0 })
            _read.TryAdd(value, size.Value);
    }
}
