using System.Collections.Immutable;
using System.Globalization;

namespace OnnxSteer;

/// <summary>Whether to steer a site, from what its samples say. It says where the two sides differ, not what steering there does
/// to the text: the site decides more than the method, so measure a few.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Suggested">Whether to steer it.</param>
/// <param name="Reason">Why, for people.</param>
public sealed record SiteAdvice(string Site, bool Suggested, string Reason)
{
    /// <summary>
    /// Ranks sites by <see cref="Separability"/>. Suggested are those, told apart beyond chance and whose held-out distance
    /// shrinks, that lie within a standard error of the best such site. Methods that damp, or go beyond the target, bring nothing
    /// nearer to it; there a linear map tells whether the difference is one that holds on other samples.
    /// </summary>
    internal static ImmutableArray<SiteAdvice> Of(ImmutableArray<SiteReport> sites)
    {
        var best = sites.Where(IsCandidate).MaxBy(site => site.Separability!.Auroc)?.Separability;
        var least = best?.Auroc - best?.Error;
        return [.. sites.OrderByDescending(site => site.Separability?.Auroc ?? 0).ThenByDescending(site => site.EffectSize ?? 0).Select(site => Of(site, least))];
    }

    private static SiteAdvice Of(SiteReport site, double? least)
    {
        var isSuggested = IsCandidate(site) && site.Separability!.Auroc >= least;
        return new SiteAdvice(site.Site, isSuggested, site switch
        {
            { Separability: not { } } or { HeldOut: not { } } => $"{site.Samples.Source} and {site.Samples.Target} samples are too few to hold any out",
            { Separability: { IsBeyondChance: false } chance } => Text($"not told apart beyond chance (AUROC {chance.Auroc:0.00}, chance within {2 * chance.ErrorOfChance:0.00} of 0.50)"),
            { Changed: 0 } => "the map changes nothing here",
            { HeldOut: { } check } when !Shrinks(check) => Text($"the distance of held-out samples does not shrink ({check.DistanceBefore:0.00} to {check.DistanceAfter:0.00})"),
            { Separability: { } apart, HeldOut: { } check } => Text($"AUROC {apart.Auroc:0.00}, the distance of held-out samples shrinks from {check.DistanceBefore:0.00} to {(check.DistanceAfter < check.DistanceBefore ? check.DistanceAfter : check.DistanceAfterLinear):0.00}")
                + (check.DistanceAfter < check.DistanceBefore ? "" : " by a linear map") + (isSuggested ? "" : "; others tell the sides apart better"),
        });
    }

    private static bool IsCandidate(SiteReport site) => site is { Separability.IsBeyondChance: true, HeldOut: { } check, Changed: > 0 } && Shrinks(check);

    private static bool Shrinks(HeldOutCheck check) => Math.Min(check.DistanceAfter, check.DistanceAfterLinear) < check.DistanceBefore;

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
