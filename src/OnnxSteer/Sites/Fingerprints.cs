using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Computes the digests that bind maps to models.</summary>
public static class Fingerprints
{
    // Enough to tell weights apart, little enough for models of any size.
    private const int SampleBytes = 64;
    private const int Samples = 4;

    /// <summary>
    /// The fingerprint of a model. <c>Places</c> depends on site names and channels alone, so every export of one
    /// architecture has the same; <c>Graph</c> also on operators and names; <c>Weights</c> on the initializers' names,
    /// types, shapes and samples of their bytes.
    /// </summary>
    public static Fingerprint Of(Model model, SiteTable table) => new(OfPlaces(table), OfGraph(model), OfWeights(model));

    private static string OfPlaces(SiteTable table) =>
        Digest(hash =>
        {
            foreach (var site in table.Sites.OrderBy(site => site.Name, StringComparer.Ordinal))
                Add(hash, site.Name, site.Channels.ToString());
        });

    private static string OfGraph(Model model) =>
        Digest(hash =>
        {
            foreach (var graph in model.Graphs)
            {
                Add(hash, "graph", graph.Path);
                foreach (var input in graph.Inputs)
                    Add(hash, "input", input.Name);
                foreach (var node in graph.Nodes)
                {
                    Add(hash, node.Domain, node.OpType);
                    Add(hash, [.. node.Inputs]);
                    Add(hash, [.. node.Outputs]);
                    Add(hash, [.. node.Attributes.Select(attribute => attribute.Name).Order(StringComparer.Ordinal)]);
                }
            }
        });

    private static string OfWeights(Model model) =>
        Digest(hash =>
        {
            Span<byte> sample = stackalloc byte[SampleBytes];
            foreach (var (graph, tensor) in model.Graphs.SelectMany(graph => graph.Initializers, (graph, tensor) => (graph, tensor))
                .OrderBy(entry => entry.graph.Path, StringComparer.Ordinal).ThenBy(entry => entry.tensor.Name, StringComparer.Ordinal))
            {
                Add(hash, graph.Path, tensor.Name, tensor.DataType.Name(), string.Join(',', tensor.Dims));
                if (tensor.DataType.Bits() == 0)
                    continue;
                var length = tensor.ByteLength;
                var size = (int)Math.Min(SampleBytes, length);
                for (var i = 0; i < Samples; i++)
                {
                    tensor.Read((length - size) * i / (Samples - 1), sample[..size]);
                    hash.AppendData(sample[..size]);
                }
            }
        });

    private static string Digest(Action<IncrementalHash> add)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        add(hash);
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..32];
    }

    private static int Bytes(ReadOnlySpan<string> texts)
    {
        var sum = 0;
        foreach (var text in texts)
            sum += Encoding.UTF8.GetByteCount(text);
        return sum;
    }

    // Texts and lists end with bytes that UTF-8 never holds, so that no two lists read alike.
    private static void Add(IncrementalHash hash, params ReadOnlySpan<string> texts)
    {
        // A list at a time: a call for every text of a big graph takes longer than the digest.
        var bytes = ArrayPool<byte>.Shared.Rent(texts.Length + 1 + Bytes(texts));
        var length = 0;
        foreach (var text in texts)
        {
            length += Encoding.UTF8.GetBytes(text, bytes.AsSpan(length));
            bytes[length++] = 0xFF;
        }
        bytes[length++] = 0xFE;
        hash.AppendData(bytes.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(bytes);
    }
}
