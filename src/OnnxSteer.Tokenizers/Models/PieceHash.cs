using System.Runtime.InteropServices;

namespace OnnxSteer.Tokenizers;

/// <summary>A fast hash of short texts for tables in which a collision costs time only.</summary>
internal static class PieceHash
{
    public static int Of(ReadOnlySpan<char> text)
    {
        var hash = (ulong)text.Length * 0x9E3779B97F4A7C15UL;
        var bytes = MemoryMarshal.AsBytes(text);
        for (; bytes.Length >= 8; bytes = bytes[8..])
            hash = (hash ^ MemoryMarshal.Read<ulong>(bytes)) * 0xFF51AFD7ED558CCDUL;
        for (; bytes.Length >= 2; bytes = bytes[2..])
            hash = (hash ^ MemoryMarshal.Read<ushort>(bytes)) * 0xFF51AFD7ED558CCDUL;
        return (int)(hash >> 33);
    }
}
