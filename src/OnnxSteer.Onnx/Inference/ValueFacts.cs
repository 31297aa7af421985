namespace OnnxSteer.Onnx.Inference;

/// <summary>What is known of a tensor value without running the model.</summary>
/// <param name="DataType">Element type; undefined where unknown.</param>
/// <param name="Rank">Number of axes, or null where unknown.</param>
/// <param name="LastDim">Size of the last axis, or null where unknown or dynamic.</param>
public readonly record struct ValueFacts(DataType DataType, int? Rank, long? LastDim)
{
    /// <summary>Nothing is known.</summary>
    public static ValueFacts Unknown { get; }

    /// <summary>These facts, and where they know nothing, others.</summary>
    public ValueFacts Or(ValueFacts other) =>
        new(DataType == DataType.Undefined ? other.DataType : DataType, Rank ?? other.Rank, LastDim ?? other.LastDim);
}
