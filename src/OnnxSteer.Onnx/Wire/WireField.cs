namespace OnnxSteer.Onnx.Wire;

/// <summary>How a field's value is encoded (Protocol Buffers encoding, "Message Structure").</summary>
internal enum WireType
{
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    StartGroup = 3,
    EndGroup = 4,
    Fixed32 = 5,
}

/// <summary>One field where it lies in its source.</summary>
/// <param name="Number">Field number.</param>
/// <param name="Type">Encoding of the value.</param>
/// <param name="Start">Offset of the tag.</param>
/// <param name="Header">Offset behind the tag: of the length, or of the value where there is no length.</param>
/// <param name="Body">Offset of the value.</param>
/// <param name="End">Offset behind the value.</param>
/// <param name="Value">The value of a varint or of fixed bits; otherwise 0.</param>
internal readonly record struct WireField(int Number, WireType Type, long Start, long Header, long Body, long End, ulong Value)
{
    public long Length => End - Body;

    public bool Is(int number, WireType type) => Number == number && Type == type;
}

/// <summary>
/// A length-delimited message and the messages around it: what a change of size in its body must tell. The whole file
/// has no frame.
/// </summary>
internal sealed record Frame(Frame? Parent, WireField Field)
{
    public int Depth { get; } = Parent is null ? 1 : Parent.Depth + 1;
}
