using OnnxSteer.Onnx;

namespace OnnxSteer.Running;

/// <summary>Counts the tokens that a map leaves alone: its bounds come from pooled samples, and single tokens lie further out.</summary>
public static class TokenSupport
{
    /// <summary>Runs the source's prompts once more and completes the reports of a fit of all sites at once.</summary>
    /// <param name="model">The model.</param>
    /// <param name="fit">The fit.</param>
    /// <param name="source">The prompts that activations come from.</param>
    /// <param name="options">As for the capture.</param>
    /// <param name="progress">Told how many prompts are done.</param>
    /// <param name="cancel">Ends the run.</param>
    /// <returns>The fit with <see cref="SiteReport.TokensOutside"/>, where the map has bounds.</returns>
    public static FitResult Count(Model model, FitResult fit, TokenizedPrompts source, CaptureOptions options, IProgress<int>? progress = null, CancellationToken cancel = default)
    {
        var table = SiteTable.Of(model);
        var sites = fit.Map.Sites.Where(site => site.Transport.Support is not null).Select(site => (Site: table.Find(site.Site), Support: site.Transport.Support!)).ToList();
        if (sites.Count == 0)
            return fit;
        using var session = new CaptureSession(model, SiteTaps.Insides(model, sites, source.Chosen is not null), source, options);
        var values = sites.Select(site => new float[source.Rows.Length * site.Site.Channels]).ToArray();
        var done = 0;
        foreach (var batch in BatchPlan.Of(source.Rows.Select(row => row.Length), options.BatchSize).Batches)
        {
            session.Run(batch, i => batch[i], values, cancel);
            progress?.Report(done += batch.Length);
        }
        return fit.WithTokensOutside(sites.Zip(values).ToDictionary(entry => entry.First.Site.Name, entry => (IReadOnlyList<double>)source.MeanOverTokens(entry.Second).Select(inside => 1 - inside).ToList()));
    }
}
