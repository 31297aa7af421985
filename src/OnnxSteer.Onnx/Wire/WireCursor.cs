using System.Buffers.Binary;
using System.Text;

namespace OnnxSteer.Onnx.Wire;

/// <summary>
/// Walks the fields of a message in any encoding a Protocol Buffers writer may choose (fields in any order, overlong
/// varints, unknown fields, groups). Large values are stepped over unread.
/// </summary>
internal sealed class WireCursor(ByteSource source, NamePool? names = null)
{
    private const int WindowSize = 1 << 16;
    private const int MaxGroupDepth = 64;
    private const int MaxText = 1 << 26;
    private const int SmallText = 1024;
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly byte[] _window = new byte[(int)Math.Min(WindowSize, Math.Max(16, source.Length))];
    private readonly NamePool _names = names ?? new NamePool();
    private readonly char[] _text = new char[SmallText];
    private long _windowStart;
    private int _windowLength;
    private long _position;

    /// <summary>Goes to the first field of a message's body.</summary>
    public void Enter(long body) => _position = body;

    /// <summary>Reads the next field before <paramref name="end"/> and steps behind it; false at the end.</summary>
    public bool Next(long end, out WireField field)
    {
        if (_position == end)
        {
            field = default;
            return false;
        }
        field = ReadField(end, 0);
        return true;
    }

    /// <summary>A name: the UTF-8 text of a length-delimited field. Equal names are one object.</summary>
    public string Name(WireField field) => Text(field, StrictUtf8);

    /// <summary>A text for people; what is not UTF-8 in it is replaced.</summary>
    public string Text(WireField field) => Text(field, Encoding.UTF8);

    private string Text(WireField field, Encoding encoding)
    {
        if (field.Length > MaxText)
            throw Broken(field.Start, $"a text of {field.Length} bytes; the largest allowed is {MaxText}");
        try
        {
            return field.Length > SmallText ? encoding.GetString(source.ToArray(field.Body, field.Length))
                : _names.Of(_text.AsSpan(0, encoding.GetChars(Bytes(field), _text)));
        }
        catch (DecoderFallbackException)
        {
            throw Broken(field.Start, "a name that is not UTF-8");
        }
    }

    /// <summary>Adds the numbers of a repeated integer field, whether packed or not.</summary>
    public void AddIntegers(WireField field, ICollection<long> numbers)
    {
        if (field.Type == WireType.Varint)
        {
            numbers.Add((long)field.Value);
            return;
        }
        var back = _position;
        for (_position = field.Body; _position < field.End;)
            numbers.Add((long)ReadVarint(field.End));
        _position = back;
    }

    // The bytes of a small value, until the next call.
    private ReadOnlySpan<byte> Bytes(WireField field)
    {
        if (field.Body < _windowStart || field.End > _windowStart + _windowLength)
            Fill(field.Body);
        return _window.AsSpan((int)(field.Body - _windowStart), (int)field.Length);
    }

    public OnnxException Broken(long offset, string what) =>
        new($"{source.Name}: not a readable ONNX model: {what}, at byte {offset} of {source.Length}. Expected an ONNX ModelProto; the file is damaged, cut short, or something else.");

    private WireField ReadField(long end, int groupDepth)
    {
        var start = _position;
        var tag = ReadVarint(end);
        var (number, type) = (tag >> 3, (WireType)(tag & 7));
        if (number is 0 or > 0x1FFFFFFF)
            throw Broken(start, $"field number {number}");
        var header = _position;
        long valueOrBody = header, stop;
        switch (type)
        {
            case WireType.Varint:
                valueOrBody = (long)ReadVarint(end);
                stop = _position;
                break;
            case WireType.Fixed64:
            case WireType.Fixed32:
                stop = header + (type == WireType.Fixed64 ? 8 : 4);
                if (stop > end)
                    throw Broken(start, $"field {number} is cut short");
                var bits = Bytes(new WireField((int)number, type, start, header, 0, stop));
                valueOrBody = type == WireType.Fixed64 ? BinaryPrimitives.ReadInt64LittleEndian(bits) : BinaryPrimitives.ReadUInt32LittleEndian(bits);
                break;
            case WireType.Length:
                var length = ReadVarint(end);
                valueOrBody = _position;
                if (length > (ulong)(end - valueOrBody))
                    throw Broken(start, $"field {number} says it holds {length} bytes, but {end - valueOrBody} are left");
                stop = valueOrBody + (long)length;
                break;
            case WireType.StartGroup:
                stop = SkipGroup((int)number, end, groupDepth, start);
                break;
            default:
                throw Broken(start, $"wire type {(int)type} in field {number}");
        }
        _position = stop;
        return new WireField((int)number, type, start, header, valueOrBody, stop);
    }

    private long SkipGroup(int number, long end, int depth, long start)
    {
        if (depth == MaxGroupDepth)
            throw Broken(start, $"groups nested deeper than {MaxGroupDepth}");
        while (_position < end)
        {
            var inner = _position;
            var tag = ReadVarint(end);
            if ((WireType)(tag & 7) == WireType.EndGroup)
                return tag >> 3 == (ulong)number ? _position : throw Broken(inner, $"group {tag >> 3} ends inside group {number}");
            _position = inner;
            ReadField(end, depth + 1);
        }
        throw Broken(start, $"group {number} does not end");
    }

    private ulong ReadVarint(long end)
    {
        // Nearly all numbers take one byte.
        var index = _position - _windowStart;
        if (index >= 0 && index < _windowLength && _position < end && _window[index] is < 0x80 and var small)
        {
            _position++;
            return small;
        }
        var start = _position;
        ulong value = 0;
        for (var shift = 0; shift < 70; shift += 7)
        {
            if (_position >= end)
                throw Broken(start, "a number is cut short");
            var b = ReadByte();
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
                return value;
        }
        throw Broken(start, "a number longer than 10 bytes");
    }

    private byte ReadByte()
    {
        var index = _position - _windowStart;
        if (index < 0 || index >= _windowLength)
        {
            Fill(_position);
            index = 0;
        }
        _position++;
        return _window[index];
    }

    private void Fill(long offset)
    {
        _windowStart = offset;
        _windowLength = (int)Math.Min(_window.Length, source.Length - offset);
        source.Read(offset, _window.AsSpan(0, _windowLength));
    }
}
