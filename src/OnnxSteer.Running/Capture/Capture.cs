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

    /// <summary>Captures encoded prompts, with a record of what was captured from what. A prompt of some weight has as many rows.</summary>
    public static ActivationSet Run(
        Model model, ImmutableArray<Site> sites, PromptSet prompts, TokenizedPrompts tokens, CaptureOptions options, IProgress<int>? progress = null,
        CancellationToken cancel = default) =>
        new(Run(model, sites, tokens, options, progress, cancel), OriginOf(model, prompts, tokens, options));

    /// <summary>Captures rows of token ids, of which all tokens count; see <see cref="Run(Model, ImmutableArray{Site}, TokenizedPrompts, CaptureOptions, IProgress{int}, CancellationToken)"/>.</summary>
    public static ImmutableArray<SiteActivations> Run(
        Model model, ImmutableArray<Site> sites, IReadOnlyList<ImmutableArray<int>> rows, CaptureOptions options, IProgress<int>? progress = null,
        CancellationToken cancel = default) => Run(model, sites, new TokenizedPrompts([.. rows], 0), options, progress, cancel);

    /// <summary>
    /// Runs prompts through the part of a model that the sites need, pooling inside the graph. Prompts of like length share a
    /// call (<see cref="BatchPlan"/>); the rows come in the order of the prompts.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites to read.</param>
    /// <param name="prompts">Token ids of each prompt; none may be empty.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Told how many prompts are done.</param>
    /// <param name="cancel">Ends the capture.</param>
    /// <returns>One matrix <c>[samples, channels]</c> a site, in the order of <paramref name="sites"/>.</returns>
    public static ImmutableArray<SiteActivations> Run(
        Model model, ImmutableArray<Site> sites, TokenizedPrompts prompts, CaptureOptions options, IProgress<int>? progress = null, CancellationToken cancel = default)
    {
        using var session = new CaptureSession(model, sites, prompts, options);
        var values = sites.Select(site => new float[prompts.Rows.Length * site.Channels]).ToArray();
        var done = 0;
        foreach (var batch in BatchPlan.Of(prompts.Rows.Select(row => row.Length), options.BatchSize).Batches)
        {
            session.Run(batch, i => batch[i], values, cancel);
            progress?.Report(done += batch.Length);
        }
        return [.. sites.Select((site, i) => new SiteActivations(site.Name, Weighted(Matrix.Of(prompts.Rows.Length, site.Channels, values[i]), prompts.Weights)))];
    }

    /// <summary>What a capture says of where it comes from.</summary>
    internal static ActivationOrigin OriginOf(Model model, PromptSet prompts, TokenizedPrompts tokens, CaptureOptions options) =>
        new(options.Pooling.Name(), prompts.Digest, Provenance.ThisTool, Fingerprints.Of(model, SiteTable.Of(model)), tokens.ChosenBy);

    /// <summary>Each row as often as its weight says.</summary>
    internal static Matrix Weighted(Matrix values, ImmutableArray<int>? weights)
    {
        if (weights is not { } counts)
            return values;
        var repeated = new float[counts.Sum(count => (long)count) * values.Columns];
        var at = 0;
        for (var row = 0; row < values.Rows; row++)
            for (var i = 0; i < counts[row]; i++, at += values.Columns)
                values.Row(row).CopyTo(repeated.AsSpan(at));
        return Matrix.Of(at / Math.Max(1, values.Columns), values.Columns, repeated);
    }
}
