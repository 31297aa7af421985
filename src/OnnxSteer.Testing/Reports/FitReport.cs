namespace OnnxSteer.Testing;

/// <summary>How a fit went, as a page for people.</summary>
public static class FitReport
{
    private const int MostBars = 24;

    /// <summary>One self-contained HTML page.</summary>
    public static string Html(FitResult fit)
    {
        var (origin, counts) = (fit.Map.Provenance, fit.Sites[0].Samples);
        var suggested = fit.Advice.Count(advice => advice.Suggested);
        var ranked = fit.Advice.Select(advice => (Advice: advice, Site: fit.Sites.First(site => site.Site == advice.Site))).ToList();
        var marked = fit.Advice.Where(advice => advice.Suggested).Select(advice => advice.Site).ToHashSet();
        var measured = fit.Sites.Where(site => site.HeldOut is not null && site.Separability is not null).ToList();
        return Testing.Html.Page("OnnxSteer: how the fit went", $"""
            <h1>How the fit went</h1>
            <p class="lead">{Text(string.Join(' ', new[] { origin.Method, origin.Settings }.OfType<string>()))}, {Text(origin.Pooling ?? "unknown")} pooling, band {Text(origin.Band ?? "unknown")}{(origin.Causal == true ? ", causal" : "")}:
            {fit.Sites.Length} sites from {counts.Source} source and {counts.Target} target samples; the map holds {fit.Map.Sites.Length} of them.</p>

            <h2>Which sites to steer</h2>
            {Suggestion(fit, suggested)}
            {(measured.Count == 0 ? "" : Charts(measured, marked))}

            <h2>What the map does to the distance</h2>
            {Chart.BeforeAfter([.. ranked.Take(MostBars).Select(row => row.Site.HeldOut is { } check ? (row.Site.Site, check.DistanceBefore, check.DistanceAfter) : (row.Site.Site, row.Site.DistanceBefore, row.Site.DistanceAfter))])}
            <p class="note">{(ranked.Count > MostBars ? $"The {MostBars} best of {ranked.Count} sites. " : "")}Distance between source and target before (grey) and after the map: 1-D Wasserstein per channel, in standard deviations, averaged over channels;
            {(measured.Count == 0 ? "on the samples that the map was fitted on: there are too few to hold any out." : $"of {measured[0].HeldOut!.Samples.Source} + {measured[0].HeldOut!.Samples.Target} samples held out from a fit on the others. Few samples lie apart by chance, so that nothing comes to 0.")}</p>

            <h2>All sites</h2>
            {Testing.Html.Table("sites", ["site", .. Columns(fit).Select(column => column.Head)], ranked.Select(row => Columns(fit).Select(column => column.Cell(row.Site)).Prepend(
                $"{Text(row.Site.Site)}{(row.Advice.Suggested ? " <span class=\"yes\">steer</span>" : "")}<br><small>{Text(row.Advice.Reason)}</small>")))}
            <p class="note">{string.Join("<br>", Legend(fit).Skip(1).Select(Text))}</p>
            """);
    }

    /// <summary>What the columns of the table mean, and the suggestion first, as lines of text.</summary>
    public static IEnumerable<string> Legend(FitResult fit)
    {
        var suggested = fit.Advice.Where(advice => advice.Suggested).ToList();
        yield return suggested.Count == 0
            ? $"Steer: no site is suggested. {fit.Advice[0].Site}: {fit.Advice[0].Reason}."
            : $"Steer (*): {suggested.Count} of {fit.Sites.Length} sites, such as {suggested[0].Site}: {suggested[0].Reason}.";
        yield return "The site decides more than the method, and these numbers say where source and target differ, not what steering there does to the text: measure a few sites.";
        yield return "AUROC: held-out samples projected on the difference of means over each channel's variance, five folds; 0.50 is chance. effect: median over channels of Cohen's d.";
        yield return "distance: before > after, 1-D Wasserstein per channel in standard deviations, mean over channels. held out: the same on a fifth of the samples, by a fit on the others.";
        yield return "spread: median of ln(target's deviation / source's); linear wins: share of channels where held-out samples end nearer by a linear map than by a shift. outside: pooled source values beyond the band.";
    }

    private static string Suggestion(FitResult fit, int suggested) => suggested == 0
        ? $"<p>No site is suggested: at {Text(fit.Advice[0].Site)}, the best, {Text(fit.Advice[0].Reason)}.</p>"
        : $"""
          <p>{suggested} of {fit.Sites.Length} sites tell the two sides apart as well as the best does, within its standard error, and the distance of held-out samples shrinks there, by this map or by a linear one:
          <b>{string.Join(", ", fit.Advice.Where(advice => advice.Suggested).Take(12).Select(advice => Text(advice.Site)))}</b>{(suggested > 12 ? " and others" : "")}.</p>
          <p class="note">The site decides more than the method. These numbers say where source and target differ, not what steering there does to the text: measure a few sites.</p>
          """;

    private static string Charts(List<SiteReport> sites, HashSet<string> marked)
    {
        List<SiteDot> Dots(Func<SiteReport, double> value, Func<SiteReport, double>? error = null) =>
            [.. sites.Select(site => new SiteDot(site.Site, value(site), error?.Invoke(site) ?? 0, marked.Contains(site.Site)))];
        var apart = Dots(site => site.Separability!.Auroc, site => site.Separability!.Error);
        var spread = Dots(site => site.SpreadRatio ?? 0);
        var linear = Dots(site => site.HeldOut!.LinearBeatsMean);
        var most = Math.Max(0.1, Math.Ceiling(spread.Max(dot => Math.Abs(dot.Value)) * 10) / 10);
        return $"""
            {SiteChart.Legend(apart)}
            {SiteChart.Of("How well source and target are told apart, by site", apart, Math.Min(0.4, apart.Min(dot => dot.Value)), 1, (0.5, "chance"), "0.00")}
            <p class="note">How well held-out samples of source and target are told apart (AUROC, with its standard error), along the model; layers below. Suggested sites are filled.</p>

            <h2>Is a shift enough?</h2>
            {SiteChart.Of("Ratio of spreads, by site", spread, -most, most, (0, "equal spread"), "+0.00;-0.00;0.00")}
            <p class="note">The median over channels of ln(target's deviation / source's). At 0 a shift does; above, the target is wider.</p>
            {SiteChart.Of("Share of channels where a linear map beats a shift, by site", linear, 0, 1, (0.5, "as good"), "0 %")}
            <p class="note">Share of channels where held-out samples end nearer to the target by a linear map than by a shift, both without a band.</p>
            """;
    }

    // Columns that no site has anything to say in are left out.
    private static IEnumerable<(string Head, Func<SiteReport, string> Cell)> Columns(FitResult fit)
    {
        (string Head, Func<SiteReport, string> Cell)[] all =
        [
            ("AUROC", site => Number(site.Separability?.Auroc, "0.00")), ("effect", site => Number(site.EffectSize, "0.00")),
            ("distance", site => $"{Number(site.DistanceBefore, "0.00")} → {Number(site.DistanceAfter, "0.00")}"),
            ("held out", site => site.HeldOut is { } check ? $"{Number(check.DistanceBefore, "0.00")} → {Number(check.DistanceAfter, "0.00")}" : ""),
            ("spread", site => Number(site.SpreadRatio, "+0.00;-0.00;0.00")), ("linear wins", site => Number(site.HeldOut?.LinearBeatsMean, "0 %")),
            ("dead", site => $"{site.Dead} of {site.Channels}"), ("outside", site => Number(site.Outside, "0.0 %")), ("tokens outside", site => Number(site.TokensOutside, "0.0 %")),
            ("probe", site => Number(site.ProbeAccuracy, "0.00")), ("in map", site => site.ProbeAccuracy is null ? "" : site.InMap ? "yes" : "no"),
        ];
        return all.Where(column => fit.Sites.Any(site => column.Cell(site).Length > 0));
    }

    private static string Number(double? value, string format) => value is { } number ? Testing.Html.Number(number, format) : "";

    private static string Text(string text) => Testing.Html.Text(text);
}
