using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Steering vectors in safetensors. The Python package <c>steering-vectors</c> (<c>steering_vectors/steering_vector.py</c>) has
/// no file format: its <c>SteeringVector</c> is a dictionary <c>layer_activations</c> from a layer's number, from 0 on, to the
/// vector that is added to that module's output, and a <c>layer_type</c> (<c>decoder_block</c>, <c>self_attn</c>, <c>mlp</c>,
/// <c>input_layernorm</c>, <c>post_attention_layernorm</c>). Read here:
/// <list type="bullet">
/// <item>tensors whose name is a number, or one word and a number (<c>5</c>, <c>layer.5</c>, <c>layer_5</c>, <c>direction.5</c>):
/// that block, or with <c>layer_type</c> in the metadata that module of it;</item>
/// <item>tensors named by a site (<c>model.layers.5.mlp</c>);</item>
/// <item>a single matrix <c>[blocks, hidden]</c>: row L is block L.</item>
/// </list>
/// Vectors are <c>[hidden]</c>, or have other dimensions of 1. Written: <c>layer.N</c> where all sites are blocks, else the
/// sites' names; F32.
/// </summary>
internal static partial class SteeringVectorFile
{
    private const string TypeKey = "layer_type", BlockType = "decoder_block";

    public static LayerVectors Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        if (file.Tensors.IsEmpty)
            throw new OnnxException($"'{path}' holds no tensors; at least one vector was expected, named 'layer.N' or by a site.");
        var matrix = file.Tensors is [{ Shape: [> 1, > 1] } only] ? only : null;
        var vectors = matrix is not null ? Rows(file, matrix) : [.. file.Tensors.Select(tensor => Vector(file, tensor))];
        return new LayerVectors(vectors, file.Metadata.GetValueOrDefault(TypeKey) is { } type && type != BlockType ? type : null, IsMatrix: matrix is not null);
    }

    public static void Save(string path, IEnumerable<(string Site, int? Layer, ImmutableArray<float> Values)> vectors)
    {
        var all = vectors.ToList();
        var areBlocks = all.TrueForAll(vector => vector.Layer is not null);
        SafetensorsWriter.Write(path, all.Select(vector => SafetensorsTensor.Of(areBlocks ? $"layer.{vector.Layer!.Value.ToString(CultureInfo.InvariantCulture)}" : vector.Site, vector.Values.AsSpan())),
            areBlocks ? new Dictionary<string, string> { [TypeKey] = BlockType } : null);
    }

    private static ImmutableArray<LayerVector> Rows(SafetensorsFile file, SafetensorsEntry tensor)
    {
        var matrix = file.ReadMatrix(tensor.Name);
        return [.. Enumerable.Range(0, matrix.Rows).Select(row => new LayerVector($"{tensor.Name}[{row}]", row, [.. matrix.Row(row)]))];
    }

    private static LayerVector Vector(SafetensorsFile file, SafetensorsEntry tensor)
    {
        if (tensor.Shape.Count(size => size != 1) > 1 || tensor.Shape.IsEmpty)
            throw new OnnxException($"Tensor '{tensor.Name}' of '{file.Path}' is {tensor}; a vector, [hidden], was expected, or [layers, hidden] as the only tensor.");
        var number = Numbered().Match(tensor.Name).Groups["layer"];
        return new LayerVector(tensor.Name, number.Success ? int.Parse(number.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture) : null, [.. file.ReadSingles(tensor.Name)]);
    }

    [GeneratedRegex(@"\A(?:[A-Za-z_]+[._])?(?<layer>[0-9]{1,6})\z", RegexOptions.CultureInvariant)]
    private static partial Regex Numbered();
}
