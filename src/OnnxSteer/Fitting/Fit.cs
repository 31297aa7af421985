using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>One site's transport and how its fit went.</summary>
/// <param name="Transport">The site and its transport; it may be the identity.</param>
/// <param name="Report">How the fit went.</param>
public sealed record SiteFit(SiteTransport Transport, SiteReport Report)
{
    /// <summary>The same with the share of single tokens outside the support.</summary>
    /// <param name="outside">Of each channel, the share of the source's tokens.</param>
    public SiteFit With(IReadOnlyList<double> outside) => this with { Report = Report.With(Transport.Transport, outside) };
}

/// <summary>A fitted map and how the fit of each site went.</summary>
public sealed record FitResult
{
    /// <summary>Joins fitted sites to a map.</summary>
    /// <param name="sites">The sites in the order of execution.</param>
    /// <param name="provenance">What they were fitted on.</param>
    /// <param name="mostSites">How many of them the map holds at most: the best by <see cref="SiteReport.ProbeAccuracy"/>, the
    /// first of equals; null for all.</param>
    /// <exception cref="OnnxException">The map would change nothing at any site.</exception>
    public FitResult(IEnumerable<SiteFit> sites, Provenance provenance, int? mostSites = null)
    {
        var fits = sites.ToList();
        if (mostSites < 1)
            throw new OnnxException($"A map of {mostSites} sites steers nothing; expected at least one.");
        var left = fits.OrderByDescending(fit => fit.Report.ProbeAccuracy ?? 0).Skip(mostSites ?? fits.Count).ToHashSet(ReferenceEqualityComparer.Instance);
        Map = new SteeringMap(fits.Where(fit => !left.Contains(fit)).Select(fit => fit.Transport), provenance);
        Sites = [.. fits.Select(fit => left.Contains(fit) ? fit.Report with { InMap = false } : fit.Report)];
        if (Map.IsIdentity)
            throw new OnnxException($"The fitted map changes nothing: of {Sites.Sum(s => s.Channels)} channels, "
                + $"{Sites.Sum(s => s.Dead)} do not vary enough "
                + $"to be fitted and the others are alike in source and target ({Sites[0].Samples.Source} and "
                + $"{Sites[0].Samples.Target} samples). "
                + "Give different prompts as source and target, at least two of each, or pool by mean.");
        Advice = SiteAdvice.Of(Sites);
    }

    /// <summary>The map.</summary>
    public SteeringMap Map { get; private init; }

    /// <summary>The same with another record of what the map was fitted on.</summary>
    public FitResult With(Provenance provenance) => this with { Map = Map.With(provenance) };

    /// <summary>The same with the share of single tokens outside the support.</summary>
    /// <param name="outside">By site, of each channel the share of the source's tokens.</param>
    public FitResult WithTokensOutside(IReadOnlyDictionary<string, IReadOnlyList<double>> outside) =>
        this with { Sites = [.. Sites.Select(site => outside.TryGetValue(site.Site, out var shares) ? site.With(Map[site.Site], shares) : site)] };

    /// <summary>How each site's fit went, in the order of execution; of methods that choose sites, those left out as well.</summary>
    public ImmutableArray<SiteReport> Sites { get; private init; }

    /// <summary>The sites by how well source and target are told apart there, best first, and which of them to steer.</summary>
    public ImmutableArray<SiteAdvice> Advice { get; }
}

/// <summary>
/// Fits steering maps from pooled activations, all sites at once on the unsteered model (AcT, arXiv 2410.23054). The source is
/// where activations come from, the target where they shall go. Deterministic: the same samples give the same bits, and where each
/// channel is fitted on its own, in any order of the rows.
/// </summary>
public static class Fit
{
    /// <summary>Linear-AcT, by default within <see cref="Band.Q0To100"/>; see <see cref="LinearFit"/>.</summary>
    /// <exception cref="OnnxException">See <see cref="Of"/>.</exception>
    public static FitResult Linear(ActivationSet source, ActivationSet target, Band? band = null)
        => Of(new LinearFit(), source, target, band);

    /// <summary>Mean-AcT, by default within <see cref="Band.QAll"/>; see <see cref="MeanFit"/>.</summary>
    /// <exception cref="OnnxException">See <see cref="Of"/>.</exception>
    public static FitResult Mean(ActivationSet source, ActivationSet target, Band? band = null)
        => Of(new MeanFit(), source, target, band);

    /// <summary>Fits all sites of the source, in its order, by any method.</summary>
    /// <exception cref="OnnxException">
    /// Source and target differ in sites, channels, pooling or model; a value is not finite; or the map would change nothing.
    /// </exception>
    public static FitResult Of(IFitMethod method, ActivationSet source, ActivationSet target, Band? band = null)
    {
        CheckAlike(source, target);
        var used = band ?? method.DefaultBand;
        var provenance = new Provenance(
            Method: method.Name, Pooling: source.Origin.Pooling ?? target.Origin.Pooling, Band: used.ToString(), Causal: false,
            Samples: new SampleCounts(source.Samples, target.Samples), SourceDigest: source.Origin.Digest,
            TargetDigest: target.Origin.Digest,
            Tool: Provenance.ThisTool, Fingerprint: source.Origin.Fingerprint ?? target.Origin.Fingerprint,
            Settings: method.Settings, Tokens: source.Origin.Tokens ?? target.Origin.Tokens);
        return new FitResult(source.Sites.Select(s => Site(method, s.Site, s.Values, target[s.Site], used)), provenance, (method as IRankingMethod)?.MostSites);
    }

    /// <summary>Fits one site; unlike a whole map, it may turn out to be the identity.</summary>
    /// <param name="method">The method.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="source">Where activations come from, <c>[samples, channels]</c>.</param>
    /// <param name="target">Where they shall go, <c>[samples, channels]</c>.</param>
    /// <param name="band">The band; the method's own by default.</param>
    /// <exception cref="OnnxException">No samples, different channels, or a value that is not finite.</exception>
    public static SiteFit Site(IFitMethod method, string site, Matrix source, Matrix target, Band? band = null)
    {
        var samples = new SiteSamples(site, source, target);
        var used = band ?? method.DefaultBand;
        var estimate = method.Estimate(samples, used);
        return new SiteFit(new SiteTransport(site, estimate.Transport), SiteReport.Of(method, used, samples, estimate));
    }

    /// <summary>Refuses methods that cannot be fitted causally, as they must see all sites before they map any.</summary>
    /// <exception cref="OnnxException">It is such a method.</exception>
    public static void CheckCausal(IFitMethod method)
    {
        if (method is IRankingMethod)
            throw new OnnxException($"'{method.Name}' ranks all sites before it maps any, and a causal fit maps each site before it comes to the "
                + "next. Fit it at once, or use another method.");
    }

    private static void CheckAlike(ActivationSet source, ActivationSet target)
    {
        var missing = source.Sites.FirstOrDefault(s => target.Find(s.Site) is null)?.Site;
        var extra = target.Sites.FirstOrDefault(s => source.Find(s.Site) is null)?.Site;
        if ((missing ?? extra) is { } site)
            throw new OnnxException($"Site '{site}' has activations in the {(missing is null ? "target" : "source")} only; "
                + $"the source has {source.Sites.Length} sites, the target {target.Sites.Length}. Capture both with the same "
                + "pattern of sites.");
        if (source.Origin.Pooling is { } a && target.Origin.Pooling is { } b && a != b)
            throw new OnnxException($"The source was pooled by '{a}' and the target by '{b}'; capture both the same way.");
        if (source.Origin.Fingerprint is { } f && target.Origin.Fingerprint is { } g && f != g)
            throw new OnnxException($"Source and target were captured from different models (fingerprints "
                + $"{f.Places}/{f.Graph}/{f.Weights} and "
                + $"{g.Places}/{g.Graph}/{g.Weights}); capture both from one.");
    }
}
