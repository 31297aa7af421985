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
    private const int Samples = 4, SmallBytes = 4096;

    /// <summary>
    /// The fingerprint of a model. <c>Places</c> depends on site names and channels alone, so every export of one
    /// architecture has the same; <c>Graph</c> also on operators and names; <c>Weights</c> on the initializers' names,
    /// types, shapes and samples of their bytes.
    /// </summary>
    public static Fingerprint Of(Model model, SiteTable table) => new(OfPlaces(table), OfGraph(model), OfWeights(model));

    private static string OfPlaces(SiteTable table) =>
        Digest.Of(digest =>
        {
            foreach (var site in table.Sites.OrderBy(site => site.Name, StringComparer.Ordinal))
                digest.Add(site.Name, site.Channels.ToString());
        });

    private static string OfGraph(Model model) =>
        Digest.Of(digest =>
        {
            foreach (var graph in model.Graphs)
            {
                digest.Add("graph", graph.Path);
                foreach (var input in graph.Inputs)
                    digest.Add("input", input.Name);
                foreach (var node in graph.Nodes)
                {
                    digest.Add(node.Domain, node.OpType);
                    digest.Add(node.Inputs.AsSpan());
                    digest.Add(node.Outputs.AsSpan());
                    digest.Add(node.Attributes.IsEmpty ? [] : [.. node.Attributes.Select(attribute => attribute.Name).Order(StringComparer.Ordinal)]);
                }
            }
        });

    private static string OfWeights(Model model) =>
        Digest.Of(digest =>
        {
            Span<byte> bytes = stackalloc byte[SmallBytes];
            foreach (var (graph, tensor) in model.Graphs.SelectMany(graph => graph.Initializers, (graph, tensor) => (graph, tensor))
                .OrderBy(entry => entry.graph.Path, StringComparer.Ordinal).ThenBy(entry => entry.tensor.Name, StringComparer.Ordinal))
            {
                digest.Add(graph.Path, tensor.Name, tensor.DataType.Name(), string.Join(',', tensor.Dims));
                if (tensor.DataType.Bits() == 0)
                    continue;
                var length = tensor.ByteLength;
                var size = (int)Math.Min(SampleBytes, length);
                // All of a small tensor at once: reading takes longer than the digest.
                if (length <= bytes.Length)
                    tensor.Read(0, bytes[..(int)length]);
                for (var i = 0; i < Samples; i++)
                {
                    var start = (length - size) * i / (Samples - 1);
                    if (length > bytes.Length)
                        tensor.Read(start, bytes[..size]);
                    digest.Add(length > bytes.Length ? bytes[..size] : bytes.Slice((int)start, size));
                }
            }
        });

    /// <summary>A SHA-256 over many small pieces, gathered first: a call for each takes longer than the digest.</summary>
    private sealed class Digest : IDisposable
    {
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private readonly ArrayBufferWriter<byte> _bytes = new(1 << 16);

        public static string Of(Action<Digest> add)
        {
            using var digest = new Digest();
            add(digest);
            digest.Flush();
            return Convert.ToHexStringLower(digest._hash.GetHashAndReset())[..32];
        }

        // Texts and lists end with bytes that UTF-8 never holds, so that no two lists read alike.
        public void Add(params ReadOnlySpan<string> texts)
        {
            foreach (var text in texts)
            {
                Encoding.UTF8.GetBytes(text, _bytes);
                _bytes.Write<byte>([0xFF]);
            }
            Add([0xFE]);
        }

        public void Add(ReadOnlySpan<byte> bytes)
        {
            _bytes.Write(bytes);
            if (_bytes.WrittenCount >= 1 << 16)
                Flush();
        }

        public void Dispose() => _hash.Dispose();

        private void Flush()
        {
            _hash.AppendData(_bytes.WrittenSpan);
            _bytes.ResetWrittenCount();
        }
    }
}
