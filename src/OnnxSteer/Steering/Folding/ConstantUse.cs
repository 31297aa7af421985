using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>A constant that a node reads, and what folding does to it there.</summary>
/// <param name="Reader">The node.</param>
/// <param name="Input">Which of its inputs.</param>
/// <param name="Tensor">The tensor; null where the input is left out, or one number for all channels.</param>
/// <param name="Number">That number; 0 where the input is left out.</param>
/// <param name="DataType">Element type.</param>
/// <param name="Dims">The shape of what takes its place.</param>
/// <param name="Change">What is done.</param>
internal sealed record ConstantUse(Node Reader, int Input, Tensor? Tensor, double Number, DataType DataType, long[] Dims, TensorChange Change)
{
    /// <summary>The node whose bias it is: the reader, or a product that has none of its own.</summary>
    public Node Owner { get; init; } = Reader;

    /// <summary>Whether it holds more than a number a channel, so that a reader cannot just get one of its own.</summary>
    public bool IsMatrix => Tensor is not null && Tensor.ElementCount > Change.Factor.Length;

    /// <summary>The changed numbers of a constant that holds one a channel.</summary>
    public double[] Numbers()
    {
        var old = Tensor is null ? null : Tensor.ToBytes();
        var size = DataType.Bits() / 8;
        return [.. Change.Factor.Select((factor, i) => (old is null ? Number : Floats.Read(DataType, old.AsSpan(i * size))) * factor + Change.Offset[i])];
    }
}

/// <summary>What it takes to fold, or why that cannot be.</summary>
/// <param name="Uses">The constants that change.</param>
/// <param name="Obstacle">Why it cannot be; null where it can.</param>
internal sealed record FoldResult(IReadOnlyList<ConstantUse> Uses, string? Obstacle = null)
{
    public static FoldResult Nothing { get; } = new([]);

    public static FoldResult Refused(string obstacle) => new([], obstacle);

    public static FoldResult Of(ConstantUse use) => new([use]);

    /// <summary>The same, of biases that are another node's.</summary>
    public FoldResult OwnedBy(Node owner) => this with { Uses = [.. Uses.Select(use => use with { Owner = owner })] };

    /// <summary>Both of two.</summary>
    public FoldResult And(FoldResult other) => Obstacle is not null ? this : other.Obstacle is not null ? other : new([.. Uses, .. other.Uses]);

    /// <summary>This, or else another; of two obstacles the first is told.</summary>
    public FoldResult Or(Func<FoldResult> other) => Obstacle is null ? this : other() is { Obstacle: null } found ? found : this;
}
