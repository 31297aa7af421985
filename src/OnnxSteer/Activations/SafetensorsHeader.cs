using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Unicode;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// The JSON header of a safetensors file, checked. Strict where the format is: a brace first, no name twice, every
/// byte of the data in exactly one tensor. Tolerant where it is: trailing spaces, unknown keys of a tensor, tensors in any order.
/// </summary>
internal sealed record SafetensorsHeader(
    ImmutableArray<SafetensorsEntry> Tensors, ImmutableSortedDictionary<string, string> Metadata)
{
    public const string MetadataName = "__metadata__";

    /// <summary>The reference library's own limit; a header of that size names a million tensors.</summary>
    public const long MaximumLength = 100_000_000;

    public static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataStart, long dataLength)
    {
        if (json.IsEmpty || json[0] != (byte)'{')
            throw Bad(path, $"its header starts with {(json.IsEmpty ? "nothing" : $"byte 0x{json[0]:x2}")} instead of '{{'");
        if (!Utf8.IsValid(json))
            throw Bad(path, "its header is not UTF-8");
        try
        {
            var reader = new Utf8JsonReader(json);
            var header = Read(path, ref reader, dataStart, dataLength);
            if (reader.Read())
                throw Bad(path, "its header goes on after the closing brace");
            return header with { Tensors = Tile(path, header.Tensors, dataStart, dataLength) };
        }
        // GetString throws the second on an escaped half of a surrogate pair.
        catch (Exception cause) when (cause is JsonException or InvalidOperationException)
        {
            throw new OnnxException($"'{path}' is no valid safetensors file: its header is not valid JSON "
                + $"({cause.Message}).", cause);
        }
    }

    private static SafetensorsHeader Read(string path, ref Utf8JsonReader reader, long dataStart, long dataLength)
    {
        var tensors = ImmutableArray.CreateBuilder<SafetensorsEntry>();
        var metadata = ImmutableSortedDictionary<string, string>.Empty.WithComparers(StringComparer.Ordinal);
        var names = new HashSet<string>(StringComparer.Ordinal);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            if (!names.Add(name))
                throw Bad(path, $"its header names '{name}' twice");
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
                throw Bad(path, $"'{name}' in its header is {reader.TokenType} instead of an object");
            if (name == MetadataName)
                metadata = ReadMetadata(path, ref reader, metadata);
            else
                tensors.Add(ReadTensor(path, name, ref reader, dataStart, dataLength));
        }
        return new SafetensorsHeader(tensors.ToImmutable(), metadata);
    }

    private static ImmutableSortedDictionary<string, string> ReadMetadata(
        string path, ref Utf8JsonReader reader, ImmutableSortedDictionary<string, string> empty)
    {
        var values = empty.ToBuilder();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw Bad(path, $"key '{key}' of {MetadataName} is {reader.TokenType}; the format allows strings only");
            if (!values.TryAdd(key, reader.GetString()!))
                throw Bad(path, $"{MetadataName} names '{key}' twice");
        }
        return values.ToImmutable();
    }

    private static SafetensorsEntry ReadTensor(
        string path, string name, ref Utf8JsonReader reader, long dataStart, long dataLength)
    {
        SafetensorsType? type = null;
        ImmutableArray<long>? shape = null;
        ImmutableArray<long>? offsets = null;
        var keys = new HashSet<string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            if (!keys.Add(key))
                throw Bad(path, $"tensor '{name}' has '{key}' twice");
            reader.Read();
            if (key == "dtype")
                type = ReadType(path, name, ref reader);
            else if (key == "shape")
                shape = ReadNumbers(path, name, key, ref reader);
            else if (key == "data_offsets")
                offsets = ReadNumbers(path, name, key, ref reader);
            else
                reader.Skip();
        }
        return Check(path, name, type ?? throw Missing(path, name, "dtype"), shape ?? throw Missing(path, name, "shape"),
            offsets ?? throw Missing(path, name, "data_offsets"), dataStart, dataLength);
    }

    private static SafetensorsType ReadType(string path, string name, ref Utf8JsonReader reader)
    {
        var text = reader.TokenType == JsonTokenType.String ? reader.GetString()! : reader.TokenType.ToString();
        return SafetensorsTypes.Parse(text)
            ?? throw Bad(path, $"tensor '{name}' has the dtype '{text}'; known are {SafetensorsTypes.Known}");
    }

    private static ImmutableArray<long> ReadNumbers(string path, string name, string key, ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Bad(path, $"'{key}' of tensor '{name}' is {reader.TokenType} instead of a list");
        var numbers = ImmutableArray.CreateBuilder<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            numbers.Add(reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number) && number >= 0
                ? number
                : throw Bad(path, $"'{key}' of tensor '{name}' holds something other than whole numbers from 0 on"));
        return numbers.ToImmutable();
    }

    private static SafetensorsEntry Check(
        string path, string name, SafetensorsType type, ImmutableArray<long> shape, ImmutableArray<long> offsets,
        long dataStart, long dataLength)
    {
        if (offsets.Length != 2 || offsets[0] > offsets[1] || offsets[1] > dataLength)
            throw Bad(path, $"data_offsets of tensor '{name}' are [{string.Join(", ", offsets)}]; "
                + $"expected two ascending numbers up to the data's length of {dataLength}");
        var bytes = ByteCount(type, shape)
            ?? throw Bad(path, $"the shape [{string.Join(", ", shape)}] of tensor '{name}' overflows");
        if (bytes != offsets[1] - offsets[0])
            throw Bad(path, $"tensor '{name}' is {type} [{string.Join(", ", shape)}], which takes {bytes} bytes, "
                + $"but its data_offsets [{offsets[0]}, {offsets[1]}] span {offsets[1] - offsets[0]}");
        return new SafetensorsEntry(name, type, shape, dataStart + offsets[0], bytes);
    }

    /// <summary>The bytes that a tensor takes, or null where that is no 64-bit number.</summary>
    public static long? ByteCount(SafetensorsType type, ImmutableArray<long> shape)
    {
        // A zero anywhere makes the tensor empty, however large the other dimensions are.
        if (shape.Contains(0))
            return 0;
        long count = type.Width();
        foreach (var dimension in shape)
        {
            if (count > long.MaxValue / dimension)
                return null;
            count *= dimension;
        }
        return count;
    }

    private static ImmutableArray<SafetensorsEntry> Tile(
        string path, ImmutableArray<SafetensorsEntry> tensors, long dataStart, long dataLength)
    {
        // Ties are empty tensors; the sort is stable, so that they keep the header's order.
        var sorted = tensors.OrderBy(t => t.Offset).ThenBy(t => t.Length).ToImmutableArray();
        var end = dataStart;
        foreach (var tensor in sorted)
        {
            if (tensor.Offset != end)
                throw Bad(path, $"tensor '{tensor.Name}' starts at byte {tensor.Offset - dataStart} of the data "
                    + $"where the tensor before it ends at {end - dataStart}; the format allows neither overlaps nor holes");
            end += tensor.Length;
        }
        if (end != dataStart + dataLength)
            throw Bad(path, $"its tensors take {end - dataStart} bytes of data, but {dataLength} follow the header");
        return sorted;
    }

    private static OnnxException Missing(string path, string name, string key) => Bad(path, $"tensor '{name}' has no '{key}'");

    public static OnnxException Bad(string path, string what)
        => new($"'{path}' is no valid safetensors file: {what}. It is damaged or was not written completely; make it again.");
}
