using System.Collections;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace OnnxSteer.Generate;

/// <summary>How odd an encoding may be.</summary>
/// <param name="IsPlain">In descriptor order, with the shortest numbers, as common writers do it.</param>
/// <param name="HasStrangers">Fields that no schema knows, and known numbers with another wire type.</param>
/// <param name="HasDefaults">Explicit empty texts and zeros, and numbers that are given twice.</param>
public sealed record Oddity(bool IsPlain = false, bool HasStrangers = true, bool HasDefaults = true);

/// <summary>
/// Writes a message in a random encoding that Protocol Buffers allow: fields in any order (elements of one repeated field
/// keep theirs), overlong numbers, packed and unpacked runs mixed, singular messages in pieces, unknown fields and groups.
/// </summary>
public sealed class WireEncoder(Random random, Oddity oddity)
{
    private const int Varint = 0, Fixed64 = 1, Length = 2, StartGroup = 3, EndGroup = 4, Fixed32 = 5;

    public static byte[] Encode(IMessage message, Random random, Oddity? oddity = null) =>
        Join(new WireEncoder(random, oddity ?? new Oddity()).Atoms(message));

    // The encoded fields of a message, in the order in which they are to be written.
    private List<byte[]> Atoms(IMessage message)
    {
        var queues = message.Descriptor.Fields.InFieldNumberOrder().Select(field => new Queue<byte[]>(FieldAtoms(message, field))).ToList();
        if (oddity.HasStrangers && random.Chance(0.3))
            queues.Add(new Queue<byte[]>(Enumerable.Range(0, random.Next(1, 4)).Select(_ => Stranger(message.Descriptor, 0))));
        var atoms = new List<byte[]>();
        while (queues.RemoveAll(queue => queue.Count == 0) >= 0 && queues.Count > 0)
            atoms.Add((oddity.IsPlain ? queues[0] : random.Pick(queues)).Dequeue());
        return atoms;
    }

    private IEnumerable<byte[]> FieldAtoms(IMessage message, FieldDescriptor field)
    {
        var value = field.Accessor.GetValue(message);
        if (field.IsRepeated)
        {
            var items = ((IList)value).Cast<object>().ToList();
            return IsPackable(field) ? Runs(field, items) : items.Select(item => Single(field, item));
        }
        if (!field.Accessor.HasValue(message))
            return oddity.HasDefaults && field.FieldType != FieldType.Message && field.ContainingOneof is null && random.Chance(0.1) ? [Single(field, Default(field))] : [];
        if (field.FieldType == FieldType.Message)
            return Pieces(field, (IMessage)value);
        return oddity.HasDefaults && random.Chance(0.1) ? [Single(field, Decoy(field)), Single(field, value)] : [Single(field, value)];
    }

    private IEnumerable<byte[]> Pieces(FieldDescriptor field, IMessage message)
    {
        var atoms = Atoms(message);
        while (!oddity.IsPlain && random.Chance(0.3))
        {
            var count = random.Next(atoms.Count + 1);
            yield return Delimited(field.FieldNumber, Join(atoms[..count]));
            atoms = atoms[count..];
        }
        yield return Delimited(field.FieldNumber, Join(atoms));
    }

    private IEnumerable<byte[]> Runs(FieldDescriptor field, List<object> items)
    {
        for (var i = 0; i < items.Count;)
        {
            var count = oddity.IsPlain ? items.Count : random.Next(1, items.Count - i + 1);
            if (oddity.IsPlain || random.Chance(0.5))
                yield return Delimited(field.FieldNumber, Join(items.GetRange(i, count).Select(item => Scalar(field, item))));
            else
                foreach (var item in items.GetRange(i, count))
                    yield return Single(field, item);
            i += count;
        }
        if (oddity.HasStrangers && random.Chance(0.05))
            yield return Delimited(field.FieldNumber, []);
    }

    private byte[] Single(FieldDescriptor field, object value) => field.FieldType switch
    {
        FieldType.Message => Delimited(field.FieldNumber, Join(Atoms((IMessage)value))),
        FieldType.String => Delimited(field.FieldNumber, System.Text.Encoding.UTF8.GetBytes((string)value)),
        FieldType.Bytes => Delimited(field.FieldNumber, ((ByteString)value).ToByteArray()),
        _ => [.. Tag(field.FieldNumber, field.FieldType switch { FieldType.Float => Fixed32, FieldType.Double => Fixed64, _ => Varint }), .. Scalar(field, value)],
    };

    private byte[] Scalar(FieldDescriptor field, object value) => field.FieldType switch
    {
        FieldType.Float => BitConverter.GetBytes((float)value),
        FieldType.Double => BitConverter.GetBytes((double)value),
        FieldType.UInt64 => Number((ulong)value),
        FieldType.Int64 => Number((ulong)(long)value),
        FieldType.Int32 => Number((ulong)(long)(int)value),
        FieldType.Enum => Number((ulong)(long)Convert.ToInt32(value, null)),
        _ => throw new NotSupportedException($"The schema has no {field.FieldType}."),
    };

    private static object Default(FieldDescriptor field) => field.FieldType switch
    {
        FieldType.String => "",
        FieldType.Bytes => ByteString.Empty,
        FieldType.Float => 0f,
        FieldType.Int64 => 0L,
        _ => 0,
    };

    // What a number or text given before it says; the last one counts.
    private static object Decoy(FieldDescriptor field) => field.FieldType switch
    {
        FieldType.String => "decoy",
        FieldType.Bytes => ByteString.CopyFromUtf8("decoy"),
        FieldType.Float => 7f,
        FieldType.Int64 => 7L,
        FieldType.Enum => 1,
        _ => 7,
    };

    private byte[] Stranger(MessageDescriptor message, int depth)
    {
        // 1000 and up are nobody's; below may be a known number, then the wire type is one that its field never has.
        IReadOnlyList<FieldDescriptor> known = [.. message.Fields.InFieldNumberOrder()];
        if (known.Count > 0 && random.Chance(0.3))
        {
            var field = random.Pick(known);
            var type = field.FieldType is FieldType.Double ? Fixed32 : Fixed64;
            return Bits(field.FieldNumber, type);
        }
        var number = random.Chance(0.1) ? (1 << 29) - 1 : random.Next(1000, 1 << 20);
        switch (random.Next(5))
        {
            case 0:
                return [.. Tag(number, Varint), .. Number((ulong)random.NextInt64(long.MinValue, long.MaxValue))];
            case 1:
                return Bits(number, Fixed64);
            case 2:
                return Bits(number, Fixed32);
            case 3 when depth < 5:
                var inner = Enumerable.Range(0, random.Next(4)).Select(_ => Stranger(message, depth + 1));
                return [.. Tag(number, StartGroup), .. Join(inner), .. Tag(number, EndGroup)];
            default:
                var bytes = new byte[random.Next(200)];
                random.NextBytes(bytes);
                return Delimited(number, bytes);
        }
    }

    private byte[] Bits(int number, int type)
    {
        var bits = new byte[type == Fixed64 ? 8 : 4];
        random.NextBytes(bits);
        return [.. Tag(number, type), .. bits];
    }

    private byte[] Delimited(int number, byte[] body) => [.. Tag(number, Length), .. Number((ulong)body.Length), .. body];

    private byte[] Tag(int number, int type) => Number(((ulong)number << 3) | (uint)type);

    private byte[] Number(ulong value)
    {
        var bytes = new List<byte>(10);
        for (; value >= 0x80; value >>= 7)
            bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        if (!oddity.IsPlain && random.Chance(0.1))
            for (var padding = random.Next(11 - bytes.Count); padding > 0; padding--)
            {
                bytes[^1] |= 0x80;
                bytes.Add(0);
            }
        return [.. bytes];
    }

    private static bool IsPackable(FieldDescriptor field) =>
        field.FieldType is not (FieldType.Message or FieldType.String or FieldType.Bytes);

    private static byte[] Join(IEnumerable<byte[]> parts)
    {
        var joined = new MemoryStream();
        foreach (var part in parts)
            joined.Write(part);
        return joined.ToArray();
    }
}
