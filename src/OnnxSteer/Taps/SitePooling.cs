using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// Nodes that pool sites' values over the real tokens of each row, or over the space of feature maps, to float32
/// <c>[batch, channels]</c>. Graphs without token ids, as denoisers, have no masks: there all tokens count, and a value
/// <c>[batch, channels]</c> is taken as it is.
/// </summary>
/// <param name="ops">Takes the nodes.</param>
/// <param name="signature">The model's inputs; null for a model without token ids.</param>
/// <param name="pooling">How.</param>
/// <param name="isChosen">Whether the input <see cref="SiteTaps.PooledTokens"/> says which tokens count; else all real ones do.</param>
internal sealed class SitePooling(Ops ops, DecoderSignature? signature, Pooling pooling, bool isChosen = false)
{
    private readonly TokenPooling? _tokens = signature is null ? null : new TokenPooling(ops, signature, pooling, isChosen);
    private readonly Dictionary<string, string> _known = [];

    /// <summary>The pooled values so far.</summary>
    public IEnumerable<string> Outputs => _known.Values;

    /// <summary>What the pooling takes. Only the main graph's nodes may stand anywhere, so all of them can go to the front.</summary>
    public IEnumerable<Edit> Edits => [.. _tokens is not null && isChosen ? [TokenPooling.ChosenInput] : Array.Empty<Edit>(), .. ops.Flush(Graph.MainPath, Anchor.Start)];

    /// <summary>Pools the value of a site, or of a part of it; the same value is pooled once.</summary>
    /// <exception cref="OnnxException">The value has no tokens to pool over.</exception>
    public string Add(Site site, string value) =>
        _known.TryGetValue(value, out var known) ? known
            : _known[value] = _tokens is not null && site.Layout == ImageLayout.None ? OverTokens(_tokens, site, value) : OverAll(site, value);

    private static string OverTokens(TokenPooling tokens, Site site, string value) =>
        site.Rank is null or 2 or 3 ? tokens.Add(value, site.DataType, site.Rank)
            : throw new OnnxException($"Site '{site.Name}' has rank {site.Rank}; only [batch, tokens, channels] and [tokens, channels] can be pooled over tokens.");

    // Over all axes between the batch's and the channels', whatever they are called.
    private string OverAll(Site site, string value)
    {
        const string hint = "onnxsteer.pool";
        if (pooling == Pooling.Last)
            throw new OnnxException($"Site '{site.Name}' has no last token; pool it by mean, min or max.");
        var z = site.DataType == DataType.Float32 ? value : ops.Cast(hint, value, DataType.Float32);
        if (site.Layout == ImageLayout.None && site.Rank != 3)
            z = ops.Reshape(hint, z, 0, -1, site.Channels);
        return ops.Reduce(hint, pooling switch { Pooling.Min => "ReduceMin", Pooling.Max => "ReduceMax", _ => "ReduceMean" }, z, keep: false,
            site.Layout == ImageLayout.None ? [1] : site.SpaceAxes.AsSpan());
    }
}
