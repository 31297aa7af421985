using System.Collections.Immutable;
using System.Text;

namespace OnnxSteer.Fixtures;

/// <summary>A GGUF control vector put together byte by byte, by the specification rather than by the writer.</summary>
public sealed class GgufBytes
{
    public uint Version { get; init; } = 3;

    public uint Alignment { get; init; } = 32;

    public bool IsHalf { get; init; }

    /// <summary>Whether there are metadata that nobody asks for, of every type.</summary>
    public bool HasOthers { get; init; }

    public string Architecture { get; init; } = "controlvector";

    public string Hint { get; init; } = "test";

    public string? Tensor { get; init; }

    public uint? Type { get; init; }

    public uint Dimensions { get; init; } = 1;

    public ulong? Offset { get; init; }

    public byte[] Of(params (int Layer, ImmutableArray<float> Values)[] vectors)
    {
        var bytes = new List<byte>();
        void U32(uint value) => bytes.AddRange(BitConverter.GetBytes(value));
        void U64(ulong value) => bytes.AddRange(BitConverter.GetBytes(value));
        void Text(string text)
        {
            U64((ulong)Encoding.UTF8.GetByteCount(text));
            bytes.AddRange(Encoding.UTF8.GetBytes(text));
        }
        void Entry(string key, uint type, params byte[] value)
        {
            Text(key);
            U32(type);
            bytes.AddRange(value);
        }
        void Pad()
        {
            while (bytes.Count % Alignment != 0)
                bytes.Add(0);
        }
        bytes.AddRange("GGUF"u8.ToArray());
        U32(Version);
        U64((ulong)vectors.Length);
        uint[] widths = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
        U64((ulong)(3 + (HasOthers ? 15 : 0) + (Alignment == 32 ? 0 : 1)));
        Entry("general.architecture", 8);
        Text(Architecture);
        Entry("controlvector.model_hint", 8);
        Text(Hint);
        Entry("controlvector.layer_count", 4, BitConverter.GetBytes((uint)vectors.Length));
        if (Alignment != 32)
            Entry("general.alignment", 4, BitConverter.GetBytes(Alignment));
        if (HasOthers)
        {
            for (var type = 0u; type < widths.Length; type++)
                if (widths[type] > 0)
                    Entry($"other.{type}", type, new byte[widths[type]]);
            Entry("other.text", 8);
            Text("any ☺");
            Entry("other.numbers", 9, [2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
            Entry("other.texts", 9, [8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
            Text("a");
            Text("");
            Entry("general.name", 8);
            Text("a name");
        }
        var offset = 0ul;
        foreach (var (layer, values) in vectors)
        {
            Text(Tensor ?? $"direction.{layer}");
            U32(Dimensions);
            for (var i = 0; i < Dimensions; i++)
                U64(i == 0 ? (ulong)values.Length : 1);
            U32(Type ?? (IsHalf ? 1u : 0u));
            U64(Offset ?? offset);
            offset += ((ulong)values.Length * (IsHalf ? 2ul : 4ul) + Alignment - 1) / Alignment * Alignment;
        }
        Pad();
        foreach (var (_, values) in vectors)
        {
            foreach (var value in values)
                bytes.AddRange(IsHalf ? BitConverter.GetBytes((Half)value) : BitConverter.GetBytes(value));
            Pad();
        }
        return [.. bytes];
    }
}
