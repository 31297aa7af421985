using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>How activations are captured.</summary>
public sealed record CaptureOptions
{
    /// <summary>How the tokens of a prompt become one row.</summary>
    public Pooling Pooling { get; init; }

    /// <summary>Prompts in one call.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>The session's settings.</summary>
    public SessionOptions? Session { get; init; }
}

/// <summary>Reads pooled activations of prompts off a model.</summary>
public static class Capture
{
    /// <summary>Encodes prompts by the model's own tokenizer and captures them, cut behind 128 tokens as the reference does.</summary>
    public static ActivationSet Run(
        Model model, ImmutableArray<Site> sites, PromptSet prompts, CaptureOptions? options = null, IProgress<int>? progress = null, CancellationToken cancel = default) =>
        Run(model, sites, prompts, TokenizedPrompts.Of(prompts, () => TokenizedPrompts.TokenizerOf(model), TokenizedPrompts.UsualLimit), options ?? new CaptureOptions(), progress, cancel);

    /// <summary>Captures encoded prompts, with a record of what was captured from what.</summary>
    public static ActivationSet Run(
        Model model, ImmutableArray<Site> sites, PromptSet prompts, TokenizedPrompts tokens, CaptureOptions options, IProgress<int>? progress = null,
        CancellationToken cancel = default)
    {
        var origin = new ActivationOrigin(options.Pooling.Name(), prompts.Digest, Provenance.ThisTool, Fingerprints.Of(model, SiteTable.Of(model)));
        return new ActivationSet(Run(model, sites, tokens.Rows, options, progress, cancel), origin);
    }

    /// <summary>
    /// Runs prompts through the part of a model that the sites need, pooling inside the graph. Prompts of like length share a
    /// call; the rows come in the order of the prompts.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites to read.</param>
    /// <param name="prompts">Token ids of each prompt; none may be empty.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Told how many prompts are done.</param>
    /// <param name="cancel">Ends the capture.</param>
    /// <returns>One matrix <c>[prompts, channels]</c> a site, in the order of <paramref name="sites"/>.</returns>
    public static ImmutableArray<SiteActivations> Run(
        Model model, ImmutableArray<Site> sites, IReadOnlyList<ImmutableArray<int>> prompts, CaptureOptions options, IProgress<int>? progress = null,
        CancellationToken cancel = default)
    {
        TokenizedPrompts.Check(prompts, model.Graph.Info(DecoderSignature.Of(model).Logits ?? "")?.Dims is [.., { } size] ? size : null, DecoderConfig.Of(model).ContextLength);
        var (pruned, taps) = SiteTaps.Pooled(model, sites, options.Pooling);
        using var decoder = Decoder.Open(pruned, DecoderSignature.Of(model), options.Session);
        var values = sites.Select(site => new float[prompts.Count * site.Channels]).ToArray();
        string[] outputs = [.. taps.SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct()];
        var done = 0;
        foreach (var rows in BatchPlan.Of(prompts.Select(prompt => prompt.Length), options.BatchSize).Batches)
        {
            cancel.ThrowIfCancellationRequested();
            var batch = new TokenBatch([.. rows.Select(row => prompts[row])], decoder.Signature.Padding, decoder.Config.PadId);
            using var state = decoder.Start(rows.Length);
            var results = state.Run(batch, outputs, cancel);
            for (var i = 0; i < taps.Length; i++)
                foreach (var (place, output) in taps[i].Parts)
                    PooledRows.Copy(results[Array.IndexOf(outputs, output)], place, rows, values[i], sites[i].Channels);
            foreach (var result in results)
                result.Dispose();
            progress?.Report(done += rows.Length);
        }
        return [.. sites.Select((site, i) => new SiteActivations(site.Name, Matrix.Of(prompts.Count, site.Channels, values[i])))];
    }
}
