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
        var hint = $"onnxsteer.projection.{site.Name}";
        string? sum = null;
        foreach (var (place, z) in parts)
        {
            var width = site.WidthAt(ops.Model, place);
            // A range is read by a vector that is 0 elsewhere, which saves a slice.
            var vector = new double[width];
            for (var i = 0; i < (place.At.Range?.Length ?? width); i++)
                vector[(place.At.Range?.Start ?? 0) + i] = direction.Unit[(place.ModuleRange?.Start ?? 0) + i];
            var part = ops.Node(hint, "MatMul", site.DataType == DataType.Float32 ? z : ops.Cast(hint, z, DataType.Float32),
                ops.Constant(hint, DataType.Float32, [width, 1], vector));
            sum = sum is null ? part : ops.Node(hint, "Add", sum, part);
        }
        var column = site.Rank == 3 ? sum! : ops.Reshape(hint, ops.Node(hint, "Reshape", sum!, ops.Node(hint, "Shape", signature.InputIds)), 0, 0, 1);
        return pooling is { } pool ? new TokenPooling(ops, signature, pool).Add(column, DataType.Float32, 3) : column;
    }
}
