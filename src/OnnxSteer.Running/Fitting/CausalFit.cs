using OnnxSteer.Onnx;

namespace OnnxSteer.Running;

/// <summary>How a causal fit runs.</summary>
public sealed record CausalOptions
{
    /// <summary>Pooling, batch size and session.</summary>
    public CaptureOptions Capture { get; init; } = new();

    /// <summary>How the order of the sites was chosen, for the record.</summary>
    public string Order { get; init; } = "execution";

    /// <summary>Whether the maps so far leave the first token of each sequence alone, as a patch that skips it will.</summary>
    public bool SkipFirst { get; init; }

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
    /// <param name="progress">Told how many percent are done.</param>
    /// <param name="cancel">Ends the fit.</param>
    /// <exception cref="OnnxException">A site cannot be cut at, or a value is not finite.</exception>
    public static FitResult Run(
        Model model, IReadOnlyList<Site> sites, IFitMethod method, Band? band, TokenizedPrompts source, TokenizedPrompts target, CausalOptions? options = null,
        IProgress<int>? progress = null, CancellationToken cancel = default)
    {
        options ??= new CausalOptions();
        var used = band ?? method.DefaultBand;
        var flat = FirstCall.Of(model);
        var table = SiteTable.Of(flat);
        var isChosen = source.Chosen is not null || target.Chosen is not null;
        var plan = CausalPlan.Of(flat, [.. sites.Select(site => table.Find(site.Name))], new CausalRules(method, !used.IsUnbounded, options.Capture.Pooling, isChosen, options.SkipFirst));
        var sides = new[] { new CausalSide(flat, source, sites, options.Capture.BatchSize), new CausalSide(flat, target, sites, options.Capture.BatchSize) };
        var fits = new Dictionary<string, SiteFit>();
        using var live = new LiveValues(options.LiveBytes);
        try
        {
            var batches = sides.SelectMany(side => side.Batches).ToList();
            foreach (var (number, segment) in plan.Segments.Index())
            {
                var part = plan.Extract(segment, name => live.TypeOf(name) is var (type, shape) ? ((DataType)(int)type, shape) : default);
                using var session = Sessions.Open(part, options.Capture.Session);
                using var run = new SegmentRun(segment, session, plan.Parameters(segment, site => fits[site.Name].Transport.Transport), live);
                foreach (var (index, batch) in batches.Index())
                {
                    run.Run(index, batch, cancel);
                    progress?.Report(100 * (number * batches.Count + index + 1) / (plan.Segments.Length * batches.Count));
                }
                foreach (var tap in segment.Insides)
                    fits[tap.Site.Name] = fits[tap.Site.Name].With(sides[0].Outside(tap.Site));
                foreach (var tap in segment.Taps)
                    fits[tap.Site.Name] = Fit.Site(method, tap.Site.Name, sides[0].Samples(tap.Site), sides[1].Samples(tap.Site), used);
            }
        }
        finally
        {
            foreach (var side in sides)
                side.Dispose();
        }
        var provenance = new Provenance(
            Method: method.Name, Pooling: options.Capture.Pooling.Name(), Band: used.ToString(), Causal: true, Order: options.Order, Samples: new SampleCounts(sides[0].Count, sides[1].Count),
            Tool: Provenance.ThisTool, Fingerprint: Fingerprints.Of(model, SiteTable.Of(model)), Settings: method.Settings, Tokens: source.ChosenBy ?? target.ChosenBy);
        return new FitResult(sites.OrderBy(site => site.Order).Select(site => fits[site.Name]), provenance);
    }
}
