using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer;

/// <summary>
/// Control vectors of llama.cpp and repeng: GGUF files with the architecture <c>controlvector</c> and one tensor
/// <c>direction.N</c>, F32 <c>[hidden]</c>, a layer. <b><c>direction.N</c> is added to the output of block N, counted from 0</b>
/// (<c>model.layers.N</c>), behind the block's last residual sum.
/// </summary>
/// <remarks>
/// <para>llama.cpp, <c>common/common.cpp</c> (<c>common_control_vector_load_one</c>): the numbers of <c>direction.N</c> go to
/// row N-1 of a buffer; N = 0 and tensors of other names are refused. <c>src/llama-adapter.cpp</c>
/// (<c>llama_adapter_cvec::apply</c>): the vector of layer <c>il</c> is read from row il-1, for il from 1 to the number of
/// layers less one; the two shifts cancel. <c>apply_to(ctx, cur, il)</c> adds it where the model's graph (<c>build_cvec(cur, il)</c>
/// of each architecture, il from 0) has added the feed-forward network to the residual stream, before the value is named
/// <c>l_out</c> and handed to the next block. So <c>direction.N</c> acts at il = N; block 0 cannot be named, and a
/// direction beyond the last block is ignored there (here it is an error). <c>--control-vector-layer-range A B</c> counts the
/// same il, both ends included.</para>
/// <para>repeng, <c>repeng/extract.py</c>: <c>export_gguf</c> writes <c>direction.L</c> for its layer L, which was read from
/// <c>hidden_states[L + 1]</c>, the output of block L; <c>repeng/control.py</c> adds it to the output of
/// <c>model.layers[L]</c>. The same block; repeng alone may write layer 0, which is read here and not written.</para>
/// <para>llama.cpp's own generator (<c>tools/cvector-generator</c>, <c>mean.hpp</c> and <c>pca.hpp</c>) names what it read at
/// the output of block i <c>direction.(i + 1)</c>, so its vectors act one block behind where they were taken. They are
/// imported to where llama.cpp applies them.</para>
/// </remarks>
internal static class ControlVectorFile
{
    private const string Architecture = "controlvector", Prefix = "direction.", ArchitectureKey = "general.architecture", HintKey = Architecture + ".model_hint";

    public static LayerVectors Load(string path)
    {
        using var file = GgufReader.Open(path, Architecture);
        if (file.Tensors.Count == 0)
            throw new OnnxException($"'{path}' holds no tensors; a control vector has at least one '{Prefix}N'.");
        var vectors = file.Tensors.Select(tensor => new LayerVector(tensor.Name, LayerOf(path, tensor.Name), [.. file.ReadSingles(tensor)]));
        return new LayerVectors([.. vectors], Hint: file.Texts.GetValueOrDefault(HintKey));
    }

    /// <summary>Writes version 3, atomically; equal vectors give equal bytes.</summary>
    /// <exception cref="OnnxException">A layer is 0, which llama.cpp cannot read.</exception>
    public static void Save(string path, IEnumerable<(int Layer, ImmutableArray<float> Values)> vectors, string hint)
    {
        var ordered = vectors.OrderBy(vector => vector.Layer).ToList();
        if (ordered[0].Layer == 0)
            throw new OnnxException($"'{path}' cannot hold a vector for block 0: llama.cpp refuses '{Prefix}0'. {(ordered[^1].Layer > 0 ? $"Leave it out by --layers 1-{ordered[^1].Layer}." : "Fit the map at later blocks.")}");
        AtomicFile.Write(path, stream =>
        {
            using var writer = new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true);
            writer.Write(GgufReader.Magic);
            writer.Write(3u);
            writer.Write((ulong)ordered.Count);
            writer.Write(3UL);
            WriteText(ArchitectureKey, Architecture);
            WriteText(HintKey, hint);
            Text(Architecture + ".layer_count");
            writer.Write(4u);
            writer.Write((uint)ordered.Count);
            var offset = 0UL;
            foreach (var (layer, values) in ordered)
            {
                Text(Prefix + layer.ToString(CultureInfo.InvariantCulture));
                writer.Write(1u);
                writer.Write((ulong)values.Length);
                writer.Write(0u);
                writer.Write(offset);
                offset += (ulong)(Padded(values.Length * sizeof(float)));
            }
            Pad(stream.Position);
            foreach (var (_, values) in ordered)
            {
                writer.Write(MemoryMarshal.AsBytes(values.AsSpan()));
                Pad(values.Length * (long)sizeof(float));
            }

            void WriteText(string key, string value)
            {
                Text(key);
                writer.Write(8u);
                Text(value);
            }

            void Text(string text)
            {
                var bytes = Encoding.UTF8.GetBytes(text);
                writer.Write((ulong)bytes.Length);
                writer.Write(bytes);
            }

            void Pad(long length) => writer.Write(new byte[Padded(length) - length]);
        });
    }

    private static long Padded(long length) => (length + GgufReader.Alignment - 1) / GgufReader.Alignment * GgufReader.Alignment;

    private static int LayerOf(string path, string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && int.TryParse(name.AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var layer) ? layer
            : throw new OnnxException($"'{path}' holds a tensor '{name}'; a control vector's are named '{Prefix}N', N being a block's number.");
}
