using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>One population of a causal fit: its batches, and what is pooled of them.</summary>
internal sealed class CausalSide : IDisposable
{
    private readonly TokenizedPrompts _prompts;
    private readonly Dictionary<string, float[]> _pooled, _inside;

    public CausalSide(Model model, TokenizedPrompts prompts, IReadOnlyList<Site> sites, int batchSize)
    {
        _prompts = prompts;
        var (signature, config) = (DecoderSignature.Of(model), DecoderConfig.Of(model));
        TokenizedPrompts.Check(prompts.Rows, model.Graph.Info(signature.Logits ?? "")?.Dims is [.., { } size] ? size : null, config.ContextLength);
        Dictionary<string, float[]> Rows() => sites.ToDictionary(site => site.Name, site => new float[prompts.Rows.Length * site.Channels]);
        (_pooled, _inside) = (Rows(), Rows());
        Batches = [.. BatchPlan.Of(prompts.Rows.Select(row => row.Length), batchSize).Batches
            .Select(rows => new CausalBatch(this, rows, FirstInputs.Of(model, config, prompts.Batch(rows, signature.Padding, config.PadId))))];
    }

    public ImmutableArray<CausalBatch> Batches { get; }

    /// <summary>How many samples there are, each prompt as often as it counts.</summary>
    public int Count => _prompts.Weights?.Sum() ?? _prompts.Rows.Length;

    /// <summary>A site's pooled activations, <c>[samples, channels]</c>.</summary>
    public Matrix Samples(Site site) => Capture.Weighted(Matrix.Of(_prompts.Rows.Length, site.Channels, _pooled[site.Name]), _prompts.Weights);

    /// <summary>Of each channel of a site, the share of all tokens that lie outside its support.</summary>
    public double[] Outside(Site site) => [.. _prompts.MeanOverTokens(_inside[site.Name]).Select(inside => 1 - inside)];

    public void Take(Site site, Place place, OrtValue value, ImmutableArray<int> rows, bool isInside) =>
        PooledRows.Copy(value, site, place, rows, i => rows[i], (isInside ? _inside : _pooled)[site.Name]);

    public void Dispose()
    {
        foreach (var batch in Batches)
            batch.Dispose();
    }
}

/// <summary>Prompts that run together.</summary>
internal sealed class CausalBatch(CausalSide side, ImmutableArray<int> rows, IReadOnlyDictionary<string, OrtValue> inputs) : IDisposable
{
    /// <summary>An input of the model.</summary>
    /// <exception cref="OnnxException">It is none that a first call has.</exception>
    public OrtValue Input(string name) => inputs.TryGetValue(name, out var value) ? value
        : throw new OnnxException($"The input '{name}' is none that this runtime knows how to feed (token ids, mask, positions, cache).");

    /// <summary>Keeps what was pooled of a part of a site.</summary>
    public void Take(Site site, Place place, OrtValue value, bool isInside) => side.Take(site, place, value, rows, isInside);

    public void Dispose()
    {
        foreach (var value in inputs.Values)
            value.Dispose();
    }
}
