using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>One tensor of a safetensors file, without its data.</summary>
/// <param name="Name">The tensor's name, unique in the file.</param>
/// <param name="Type">The element type.</param>
/// <param name="Shape">The dimensions, outermost first; empty for a scalar. A dimension may be 0.</param>
/// <param name="Offset">Where the data starts, in bytes from the start of the file.</param>
/// <param name="Length">How long the data is, in bytes.</param>
public sealed record SafetensorsEntry(string Name, SafetensorsType Type, ImmutableArray<long> Shape, long Offset, long Length)
{
    /// <summary>The number of elements.</summary>
    public long Count => Length / Type.Width();

    /// <summary>Type and shape as in <c>F32 [32, 64]</c>.</summary>
    public override string ToString() => $"{Type} [{string.Join(", ", Shape)}]";
}
