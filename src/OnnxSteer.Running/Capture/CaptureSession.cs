using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer.Running;

/// <summary>The part of a model that some sites need, open, with their values pooled inside the graph.</summary>
internal sealed class CaptureSession : IDisposable
{
    private readonly Decoder _decoder;
    private readonly ImmutableArray<SiteTap> _taps;
    private readonly TokenizedPrompts _prompts;
    private readonly string[] _outputs;

    /// <summary>Opens it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites to read.</param>
    /// <param name="prompts">What will run through it.</param>
    /// <param name="options">How.</param>
    /// <exception cref="OnnxException">A prompt is not one for this model.</exception>
    public CaptureSession(Model model, ImmutableArray<Site> sites, TokenizedPrompts prompts, CaptureOptions options)
        : this(model, SiteTaps.Pooled(model, sites, options.Pooling, prompts.Chosen is not null), prompts, options)
    {
    }

    /// <summary>Opens what was tapped already.</summary>
    /// <param name="model">The model before.</param>
    /// <param name="tapped">What is left of it, and what to read.</param>
    /// <param name="prompts">What will run through it.</param>
    /// <param name="options">How.</param>
    public CaptureSession(Model model, (Model Pruned, ImmutableArray<SiteTap> Taps) tapped, TokenizedPrompts prompts, CaptureOptions options)
    {
        TokenizedPrompts.Check(prompts.Rows, model);
        (var pruned, _taps) = tapped;
        _prompts = prompts;
        _outputs = [.. _taps.SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct()];
        _decoder = Decoder.Open(pruned, DecoderSignature.Of(model), options.Session);
    }

    /// <summary>Runs one batch.</summary>
    /// <param name="batch">The numbers of its prompts.</param>
    /// <param name="rowOf">The row that the i-th of them takes.</param>
    /// <param name="values">Takes the values: for each site <c>[rows, channels]</c>.</param>
    /// <param name="cancel">Ends the run.</param>
    public void Run(ImmutableArray<int> batch, Func<int, int> rowOf, float[][] values, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        using var state = _decoder.Start(batch.Length);
        var results = state.Run(_prompts.Batch(batch, _decoder.Signature.Padding, _decoder.Config.PadId), _outputs, cancel);
        foreach (var (site, tap) in _taps.Index())
            foreach (var (place, output) in tap.Parts)
                PooledRows.Copy(results[Array.IndexOf(_outputs, output)], tap.Site, place, batch, rowOf, values[site]);
        foreach (var result in results)
            result.Dispose();
    }

    public void Dispose() => _decoder.Dispose();
}
