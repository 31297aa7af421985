using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>A way to fit one site's transport from pooled activations; a record, whose properties are the method's options.</summary>
public interface IFitMethod
{
    /// <summary>The name on the command line and in map files.</summary>
    string Name { get; }

    /// <summary>The options as text, such as <c>coefficient=2</c>; null where the method has none.</summary>
    string? Settings => null;

    /// <summary>The band that the method's paper or reference implementation uses.</summary>
    Band DefaultBand { get; }

    /// <summary>The pooling that the method's paper or reference implementation uses.</summary>
    Pooling DefaultPooling { get; }

    /// <summary>Fits one site. Equal samples give equal bits.</summary>
    SiteEstimate Estimate(SiteSamples samples, Band band);
}

/// <summary>
/// A method that steers only the best of the sites it is given. All must be scored before any is mapped, so that it cannot be
/// fitted causally.
/// </summary>
public interface IRankingMethod : IFitMethod
{
    /// <summary>How many sites the map holds at most.</summary>
    int MostSites { get; }

    /// <summary>What sites are ranked by: the held-out accuracy of a probe, from 0 to 1.</summary>
    double Score(SiteSamples samples);
}

/// <summary>A fitted transport and the channels that could not be fitted.</summary>
/// <param name="Transport">The transport; dead channels are the identity in it.</param>
/// <param name="Dead">The channels whose samples do not vary enough for the method, ascending.</param>
public sealed record SiteEstimate(Transport Transport, ImmutableArray<int> Dead);
