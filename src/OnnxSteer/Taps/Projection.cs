using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Nodes that project a site's activations on a direction, in float32, which long activations do not overflow.</summary>
internal static class Projection
{
    /// <summary>Adds the nodes: <c>z·v/|v|</c> of each token, <c>[batch, tokens, 1]</c>; or pooled over the call's real tokens, <c>[batch, 1]</c>.</summary>
    /// <param name="ops">Takes the nodes.</param>
    /// <param name="signature">The model's inputs.</param>
    /// <param name="site">The site.</param>
    /// <param name="direction">The direction.</param>
    /// <param name="pooling">How tokens are pooled; null for each by itself.</param>
    /// <param name="parts">Where its parts are read, and the values to read there.</param>
    public static string Add(Ops ops, DecoderSignature signature, Site site, Direction direction, Pooling? pooling, IEnumerable<(Place Place, string Value)> parts)
    {
        if (direction.Unit.Length != site.Channels)
            throw new OnnxException($"The direction at site '{site.Name}' has {direction.Unit.Length} channels, the site has {site.Channels}; it was made for another model.");
        var column = Sum(ops, $"onnxsteer.projection.{site.Name}", signature, site, parts, channel => direction.Unit[channel]);
        return pooling is { } pool ? new TokenPooling(ops, signature, pool).Add(column, DataType.Float32, 3) : column;
    }

    /// <summary>Adds nodes for the length of each token's activation, <c>[batch, tokens, 1]</c>.</summary>
    public static string Length(Ops ops, DecoderSignature signature, Site site, IEnumerable<(Place Place, string Value)> parts)
    {
        var hint = $"onnxsteer.length.{site.Name}";
        return ops.Node(hint, "Sqrt", Sum(ops, hint, signature, site, parts, _ => 1, isSquared: true));
    }

    // The weighted sum over the channels of all parts, or of their squares.
    private static string Sum(
        Ops ops, string hint, DecoderSignature signature, Site site, IEnumerable<(Place Place, string Value)> parts, Func<int, double> weight, bool isSquared = false)
    {
        string? sum = null;
        foreach (var (place, z) in parts)
        {
            var width = site.WidthAt(ops.Model, place);
            // A range is read by a vector that is 0 elsewhere, which saves a slice.
            var vector = new double[width];
            for (var i = 0; i < (place.At.Range?.Length ?? width); i++)
                vector[(place.At.Range?.Start ?? 0) + i] = weight((place.ModuleRange?.Start ?? 0) + i);
            var wide = site.DataType == DataType.Float32 ? z : ops.Cast(hint, z, DataType.Float32);
            var part = ops.Node(hint, "MatMul", isSquared ? ops.Node(hint, "Mul", wide, wide) : wide,
                ops.Constant(hint, DataType.Float32, [width, 1], vector));
            sum = sum is null ? part : ops.Node(hint, "Add", sum, part);
        }
        return site.Rank == 3 ? sum! : ops.Reshape(hint, ops.Node(hint, "Reshape", sum!, ops.Node(hint, "Shape", signature.InputIds)), 0, 0, 1);
    }
}
