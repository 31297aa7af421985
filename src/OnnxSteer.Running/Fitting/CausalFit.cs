using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>How a causal fit runs.</summary>
public sealed record CausalOptions
{
    /// <summary>Pooling, batch size and session.</summary>
    public CaptureOptions Capture { get; init; } = new();

    /// <summary>How the order of the sites was chosen, for the record.</summary>
    public string Order { get; init; } = "execution";

    /// <summary>Bytes of values between two segments that may be held in memory; what is beyond goes to a file.</summary>
    public long LiveBytes { get; init; } = 1L << 30;
}

/// <summary>
/// Fits each site under the maps of the sites before it (AcT, arXiv 2410.23054, section 3.3), both populations passing through them
/// at strength 1. The model runs once: in segments, all batches through one before the next.
/// </summary>
public static class CausalFit
{
    /// <summary>Fits encoded prompts.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites in the order in which they are fitted.</param>
    /// <param name="method">The method.</param>
    /// <param name="band">The band; null for the method's own.</param>
    /// <param name="source">Token ids of the prompts that activations come from.</param>
    /// <param name="target">Those whose distribution they are moved to.</param>
    /// <param name="options">How.</param>
    /// <param name="progress">Told which share of the work is done, from 0 to 1.</param>
    /// <param name="cancel">Ends the fit.</param>
    /// <exception cref="OnnxException">A site cannot be cut at, or a value is not finite.</exception>
    public static FitResult Run(
        Model model, IReadOnlyList<Site> sites, IFitMethod method, Band? band, TokenizedPrompts source, TokenizedPrompts target, CausalOptions? options = null,
        IProgress<double>? progress = null, CancellationToken cancel = default)
    {
        options ??= new CausalOptions();
        var flat = FirstCall.Of(model);
        var table = SiteTable.Of(flat);
        var config = DecoderConfig.Of(model);
        var signature = DecoderSignature.Of(flat);
        var vocabulary = model.Graph.Info(DecoderSignature.Of(model).Logits ?? "")?.Dims is [.., { } size] ? size : (long?)null;
        var used = band ?? method.DefaultBand;
        var plan = CausalPlan.Of(flat, [.. sites.Select(site => table.Find(site.Name))], options.Capture.Pooling, method, !used.IsUnbounded);
        var sides = new[] { new Side(source, sites, options.Capture.BatchSize), new Side(target, sites, options.Capture.BatchSize) };
        foreach (var side in sides)
            TokenizedPrompts.Check(side.Prompts.Rows, vocabulary, config.ContextLength);
        var batches = sides.SelectMany(side => side.Plan.Batches.Select(rows => (Side: side, Rows: rows,
            Inputs: FirstInputs.Of(flat, config, new TokenBatch([.. rows.Select(row => side.Prompts.Rows[row])], signature.Padding, config.PadId))))).ToList();
        var fits = new Dictionary<string, SiteFit>();
        using var live = new LiveValues(options.LiveBytes);
        try
        {
            foreach (var (number, segment) in plan.Segments.Index())
            {
                var part = plan.Extract(segment, name => live.TypeOf(name) is var (type, rank) ? ((DataType)(int)type, rank) : default);
                using var session = Sessions.Open(part, options.Capture.Session);
                var parameters = plan.Parameters(segment, site => fits[site.Name].Transport.Transport).Select(parameter => (parameter.Name,
                    Value: OrtValue.FromMemory((ElementType)(int)parameter.DataType, parameter.Data.ToArray(), parameter.Dims.AsSpan()))).Where(parameter => session.OverridableInitializers.Any(input => input.Name == parameter.Name)).ToList();
                foreach (var (index, batch) in batches.Index())
                {
                    cancel.ThrowIfCancellationRequested();
                    RunBatch(segment, session, live, index, batch.Inputs, parameters, (tap, output, value) => batch.Side.Take(tap, output, value, batch.Rows), cancel);
                    progress?.Report((number + (index + 1.0) / batches.Count) / plan.Segments.Length);
                }
                foreach (var (_, value) in parameters)
                    value.Dispose();
                foreach (var tap in segment.Taps)
                    fits[tap.Site.Name] = Fit.Site(method, tap.Site.Name, sides[0].Matrix(tap.Site), sides[1].Matrix(tap.Site), used);
            }
        }
        finally
        {
            foreach (var value in batches.SelectMany(batch => batch.Inputs.Values))
                value.Dispose();
        }
        var provenance = new Provenance(
            Method: method.Name, Pooling: options.Capture.Pooling.Name(), Band: used.ToString(), Causal: true, Order: options.Order, Samples: new SampleCounts(source.Rows.Length, target.Rows.Length),
            Tool: Provenance.ThisTool, Fingerprint: Fingerprints.Of(model, SiteTable.Of(model)));
        return new FitResult(sites.OrderBy(site => site.Order).Select(site => fits[site.Name]), provenance);
    }

    private static void RunBatch(
        Segment segment, Session session, LiveValues live, int batch, IReadOnlyDictionary<string, OrtValue> given, List<(string Name, OrtValue Value)> parameters,
        Action<SiteTap, int, OrtValue> take, CancellationToken cancel)
    {
        var inputs = segment.Inputs.Select(name => (Name: name, Value: live.Get(batch, name))).ToList();
        List<(string Name, OrtValue Value)> feeds =
            [.. inputs, .. parameters, .. session.Inputs.Where(input => !segment.Inputs.Contains(input.Name)).Select(input => (input.Name, Given(input.Name)))];
        string[] outputs = [.. segment.Outputs, .. segment.Pooled];
        var results = new OrtValue?[outputs.Length];
        session.Run([.. feeds.Select(feed => feed.Name)], [.. feeds.Select(feed => feed.Value)], outputs, results, null, cancel);
        foreach (var (_, value) in inputs)
            value.Dispose();
        foreach (var name in segment.Releases)
            live.Remove(batch, name);
        foreach (var (name, value) in segment.Outputs.Zip(results))
            live.Put(batch, name, value!);
        foreach (var tap in segment.Taps)
            foreach (var (number, part) in tap.Parts.Index())
                take(tap, number, results[Array.IndexOf(outputs, part.Output)]!);
        foreach (var value in results)
            value!.Dispose();

        OrtValue Given(string name) => given.TryGetValue(name, out var value) ? value
            : throw new OnnxException($"The input '{name}' is none that this runtime knows how to feed (token ids, mask, positions, cache).");
    }

    // One population and what is pooled of it.
    private sealed class Side(TokenizedPrompts prompts, IReadOnlyList<Site> sites, int batchSize)
    {
        private readonly Dictionary<string, float[]> values = sites.ToDictionary(site => site.Name, site => new float[prompts.Rows.Length * site.Channels]);

        public TokenizedPrompts Prompts => prompts;

        public BatchPlan Plan { get; } = BatchPlan.Of(prompts.Rows.Select(row => row.Length), batchSize);

        public void Take(SiteTap tap, int part, OrtValue value, ImmutableArray<int> rows) =>
            PooledRows.Copy(value, tap.Parts[part].Place, rows, values[tap.Site.Name], tap.Site.Channels);

        public Matrix Matrix(Site site) => OnnxSteer.Matrix.Of(prompts.Rows.Length, site.Channels, values[site.Name]);
    }
}
