namespace OnnxSteer.Onnx.Inference;

// What reads a value tells its last axis where what makes it does not: weights have as many rows, norms as many scales.
public sealed partial class FactTable
{
    private const int MaxReadSteps = 16;

    // Values whose readers are being asked, since a circle may lead back to them.
    private readonly HashSet<string> _asked = [];

    private long? LastRead(string value, ValueFacts facts, int steps = 0)
    {
        var isOfInterest = (facts.DataType.IsFloat() || facts.DataType == DataType.Undefined) && facts is { Rank: not 0, Layout: not ImageLayout.ChannelsFirst };
        if (!isOfInterest || steps > MaxReadSteps || !_asked.Add(value))
            return null;
        try
        {
            foreach (var reader in _graph.Consumers(value))
                if (LastRead(reader, value, facts, steps) is > 0 and var size)
                    return size;
            return null;
        }
        finally
        {
            _asked.Remove(value);
        }
    }

    private long? LastRead(Node reader, string value, ValueFacts facts, int steps)
    {
        var isFirst = reader.Input(0) == value;
        return reader.OpType switch
        {
            "MatMul" or "MatMulInteger" or "FusedMatMul" or "Gemm" or "FusedGemm" when isFirst && WeightDims(reader, 1) is { Length: 2 } dims && reader.Attribute("transA")?.Int is null or 0 =>
                dims[IsTransposed(reader) ? 1 : 0],
            "MatMulNBits" when isFirst => reader.Attribute("K")?.Int,
            "LayerNormalization" or "SimplifiedLayerNormalization" or "RMSNormalization" when isFirst && WeightDims(reader, 1) is [var channels] => channels,
            "Cast" or "Identity" or "Dropout" or "Relu" or "Sigmoid" or "Tanh" or "Gelu" or "FastGelu" or "QuickGelu" or "DequantizeLinear" or "QuantizeLinear" or "DynamicQuantizeLinear"
                when isFirst && reader.Output(0) is { } made => LastRead(made, facts with { DataType = DataType.Undefined }, steps + 1),
            "Concat" when IsLast(reader.Attribute("axis")?.Int ?? 0, facts.Rank) && reader.Output(0) is { } made && LastRead(made, facts, steps + 1) is { } all =>
                Rest(reader, value, all),
            _ => null,
        };
    }

    // What a concatenation's other inputs leave.
    private long? Rest(Node concat, string value, long all)
    {
        var wasInferring = _isInferring;
        _isInferring = false;
        try
        {
            var others = concat.Inputs.Where(input => input != value).Select(input => FactsOf(input).LastDim).ToList();
            return others.Count == concat.Inputs.Length - 1 && others.TrueForAll(size => size is not null) ? all - others.Sum() : null;
        }
        finally
        {
            _isInferring = wasInferring;
        }
    }
}
