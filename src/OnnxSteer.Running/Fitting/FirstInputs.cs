using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>The inputs of a decoder's first call.</summary>
internal static class FirstInputs
{
    /// <summary>Each by its name; to be disposed.</summary>
    public static IReadOnlyDictionary<string, OrtValue> Of(Model model, DecoderConfig config, TokenBatch batch)
    {
        var signature = DecoderSignature.Of(model);
        var inputs = new Dictionary<string, OrtValue>();
        var (mask, positions) = (new long[batch.Ids.Length], new long[batch.Ids.Length]);
        for (var row = 0; row < batch.Rows; row++)
            for (var i = 0; i < batch.Length(row); i++)
                (mask[row * batch.Columns + batch.First(row) + i], positions[row * batch.Columns + batch.First(row) + i]) = (1, i);
        foreach (var (name, data) in new[] { (signature.InputIds, batch.Ids), (signature.AttentionMask, mask), (signature.PositionIds, positions) })
            if (name is not null)
                inputs[name] = DecoderState.Integers(name, TypeOf(name), data, [batch.Rows, batch.Columns]);
        inputs[SiteTaps.PooledTokens] = DecoderState.Integers(SiteTaps.PooledTokens, ElementType.Bool, batch.Chosen(), [batch.Rows, batch.Columns]);
        foreach (var tensor in signature.Cache)
            inputs[tensor.Past] = DecoderState.Empty(tensor, signature, config, TypeOf(tensor.Past), batch.Rows);
        return inputs;

        ElementType TypeOf(string name) => (ElementType)(int)model.Graph.Info(name)!.DataType;
    }
}
