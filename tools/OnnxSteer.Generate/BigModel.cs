using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Generate;

/// <summary>How big a model is to be.</summary>
public sealed record BigModelOptions
{
    /// <summary>Bytes of all weights, about.</summary>
    public long Bytes { get; init; } = 1 << 20;

    /// <summary>Nodes, about; layers are added until there are as many.</summary>
    public int Nodes { get; init; } = 12 * DecoderGraph.NodesPerLayer;

    /// <summary>Files that external weights are spread over; 0 keeps them in the model file.</summary>
    public int Shards { get; init; }
}

/// <summary>
/// Writes decoders of any size, named as the TorchScript exporter does, so that their sites are found. ONNX Runtime runs
/// them. Weights are streamed; memory holds the graph alone.
/// </summary>
public static class BigModel
{
    public const string FileName = "model.onnx";

    private const int GraphField = 7, InitializerField = 5, RawDataField = 9;

    /// <summary>Writes <c>model.onnx</c>, and its shards, into a folder.</summary>
    public static void Write(string folder, BigModelOptions options)
    {
        Directory.CreateDirectory(folder);
        var (model, weights) = DecoderGraph.Make(options);
        var shards = options.Shards == 0 ? null : Spread(weights, options.Shards);
        var heads = weights.ConvertAll(weight => weight.ToByteArray());
        var bodies = weights.Select((weight, i) => heads[i].Length + (shards is null ? DelimitedSize(RawDataField, ByteLength(weight)) : 0L)).ToList();
        var graph = model.Graph.ToByteArray();
        model.Graph = null;
        using var file = File.Create(Path.Combine(folder, FileName));
        using var output = new CodedOutputStream(file, 1 << 16);
        model.WriteTo(output);
        output.WriteTag(GraphField, WireFormat.WireType.LengthDelimited);
        output.WriteUInt64((ulong)(graph.Length + bodies.Sum(body => DelimitedSize(InitializerField, body))));
        Raw(graph);
        for (var i = 0; i < weights.Count; i++)
        {
            output.WriteTag(InitializerField, WireFormat.WireType.LengthDelimited);
            output.WriteUInt64((ulong)bodies[i]);
            Raw(heads[i]);
            if (shards is not null)
                continue;
            output.WriteTag(RawDataField, WireFormat.WireType.LengthDelimited);
            output.WriteUInt64((ulong)ByteLength(weights[i]));
            Raw([]);
            WriteWeights(file, i, weights[i]);
        }
        output.Flush();
        if (shards is not null)
            WriteShards(folder, shards);

        void Raw(ReadOnlySpan<byte> bytes)
        {
            output.Flush();
            file.Write(bytes);
        }
    }

    private static void WriteShards(string folder, ILookup<string, (int Index, TensorProto Weight)> shards)
    {
        foreach (var shard in shards)
        {
            var path = Path.Combine(folder, shard.Key);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            using var data = File.Create(path);
            foreach (var (index, weight) in shard)
            {
                WriteWeights(data, index, weight);
                data.Write(new byte[Aligned(data.Length) - data.Length]);
            }
        }
    }

    // Each shard takes its share of the bytes, in order; every tensor begins at a page, as exporters lay them.
    private static ILookup<string, (int Index, TensorProto Weight)> Spread(List<TensorProto> weights, int shards)
    {
        var share = weights.Sum(weight => Aligned(ByteLength(weight))) / shards + 1;
        var placed = new List<(string File, int Index, TensorProto Weight)>();
        long all = 0, offset = 0;
        foreach (var (i, weight) in weights.Index())
        {
            var file = shards == 1 ? "model.onnx.data" : string.Create(CultureInfo.InvariantCulture, $"shards/model.onnx.data.{Math.Min(shards - 1, all / share)}");
            offset = placed is [.., var last] && last.File == file ? offset : 0;
            weight.DataLocation = TensorProto.Types.DataLocation.External;
            weight.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = file });
            weight.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = offset.ToString(CultureInfo.InvariantCulture) });
            weight.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = ByteLength(weight).ToString(CultureInfo.InvariantCulture) });
            placed.Add((file, i, weight));
            offset += Aligned(ByteLength(weight));
            all += Aligned(ByteLength(weight));
        }
        return placed.ToLookup(entry => entry.File, entry => (entry.Index, entry.Weight));
    }

    private static void WriteWeights(Stream stream, int index, TensorProto weight)
    {
        // One draw serves a tensor again and again: what matters is that no two look alike to a file system.
        var random = new Random(index);
        var left = ByteLength(weight);
        var block = new float[Math.Min(1 << 18, left / sizeof(float))];
        // Norms are near 1, all else near 0.
        var center = weight.Dims.Count == 1 ? 1f : 0f;
        for (var i = 0; i < block.Length; i++)
            block[i] = center + (random.NextSingle() - 0.5f) * 0.1f;
        for (; left > 0; left -= Math.Min(left, block.Length * sizeof(float)))
            stream.Write(MemoryMarshal.AsBytes(block.AsSpan())[..(int)Math.Min(left, block.Length * sizeof(float))]);
    }

    private static long ByteLength(TensorProto weight) => weight.Dims.Aggregate((long)sizeof(float), (product, size) => product * size);

    private static long Aligned(long length) => (length + 4095) / 4096 * 4096;

    private static long DelimitedSize(int field, long body) =>
        CodedOutputStream.ComputeTagSize(field) + CodedOutputStream.ComputeUInt64Size((ulong)body) + body;
}
