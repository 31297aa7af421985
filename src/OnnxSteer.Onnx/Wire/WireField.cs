namespace OnnxSteer.Onnx.Wire;

/// <summary>How a field's value is encoded (Protocol Buffers encoding, "Message Structure").</summary>
internal enum WireType : byte
{
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    StartGroup = 3,
    EndGroup = 4,
    Fixed32 = 5,
}

/// <summary>One field where it lies in its source. Models hold millions of these, so it is kept small.</summary>
internal readonly struct WireField
{
    private readonly long _valueOrBody;
    private readonly byte _tagSize;

    /// <param name="number">Field number.</param>
    /// <param name="type">Encoding of the value.</param>
    /// <param name="start">Offset of the tag.</param>
    /// <param name="header">Offset behind the tag.</param>
    /// <param name="valueOrBody">Of a varint or fixed bits their value, else the offset of the body.</param>
    /// <param name="end">Offset behind the value.</param>
    public WireField(int number, WireType type, long start, long header, long valueOrBody, long end)
    {
        (Number, Type, Start, End) = (number, type, start, end);
        (_tagSize, _valueOrBody) = ((byte)(header - start), valueOrBody);
    }

    /// <summary>Offset of the tag.</summary>
    public long Start { get; }

    /// <summary>Offset behind the value.</summary>
    public long End { get; }

    /// <summary>Field number.</summary>
    public int Number { get; }

    /// <summary>Encoding of the value.</summary>
    public WireType Type { get; }

    /// <summary>Offset behind the tag: of the length, or of the value where there is no length.</summary>
    public long Header => Start + _tagSize;

    /// <summary>Offset of the value.</summary>
    public long Body => Type == WireType.Length ? _valueOrBody : Header;

    /// <summary>Bytes of the value.</summary>
    public long Length => End - Body;

    /// <summary>The value of a varint or of fixed bits; otherwise 0.</summary>
    public ulong Value => Type is WireType.Varint or WireType.Fixed32 or WireType.Fixed64 ? (ulong)_valueOrBody : 0;

    public bool Is(int number, WireType type) => Number == number && Type == type;
}

/// <summary>
/// A length-delimited message and the messages around it: what a change of size in its body must tell. The whole file
/// has no frame.
/// </summary>
internal sealed class Frame(Frame? parent, WireField field)
{
    public Frame? Parent { get; } = parent;

    public WireField Field { get; } = field;

    public int Depth { get; } = parent is null ? 1 : parent.Depth + 1;
}
