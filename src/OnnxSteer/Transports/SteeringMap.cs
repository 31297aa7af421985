using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>One site's transport.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Transport">What is done there.</param>
public sealed record SiteTransport(string Site, Transport Transport);

/// <summary>Which transport acts at which site, in the order of execution, with what it was fitted on.</summary>
public sealed class SteeringMap : IEquatable<SteeringMap>
{
    private readonly Dictionary<string, Transport> bySite;

    /// <summary>A map of at least one site.</summary>
    /// <exception cref="OnnxException">There is no site, a site is there twice, or one has no name.</exception>
    public SteeringMap(IEnumerable<SiteTransport> sites, Provenance? provenance = null)
    {
        Sites = [.. sites];
        Provenance = provenance ?? Provenance.Unknown;
        if (Sites.IsEmpty)
            throw new OnnxException("The steering map is empty; it must hold at least one site.");
        bySite = new Dictionary<string, Transport>(StringComparer.Ordinal);
        foreach (var (site, transport) in Sites)
        {
            if (site.Length == 0)
                throw new OnnxException("The steering map has a site without a name.");
            if (!bySite.TryAdd(site, transport))
                throw new OnnxException($"The steering map has site '{site}' twice; one place is steered once.");
        }
    }

    /// <summary>The sites and their transports, in the order of execution.</summary>
    public ImmutableArray<SiteTransport> Sites { get; }

    /// <summary>What the map was fitted on.</summary>
    public Provenance Provenance { get; }

    /// <summary>Whether the map changes nothing at any site.</summary>
    public bool IsIdentity => Sites.All(s => s.Transport.IsIdentity);

    /// <summary>The transport of a site.</summary>
    /// <exception cref="OnnxException">The map has no such site.</exception>
    public Transport this[string site] => Find(site) ?? throw new OnnxException(
        $"The steering map has no site '{site}'. It has "
            + $"{string.Join(", ", Sites.Take(8).Select(s => $"'{s.Site}'"))}{(Sites.Length > 8 ? ", ..." : ".")}");

    /// <summary>The transport of a site, or null where the map has none.</summary>
    public Transport? Find(string site) => bySite.GetValueOrDefault(site);

    /// <summary>The same transports with another record of what they were fitted on.</summary>
    public SteeringMap With(Provenance provenance) => new(Sites, provenance);

    /// <summary>Reads a map file.</summary>
    /// <exception cref="OnnxException">It is no valid map; the message names the tensor.</exception>
    public static SteeringMap Load(string path) => SteeringMapFile.Load(path);

    /// <summary>Writes a map file atomically; equal maps give equal bytes.</summary>
    public void Save(string path) => SteeringMapFile.Save(path, this);

    /// <summary>Whether sites, their order, their transports and the provenance are the same.</summary>
    public bool Equals(SteeringMap? other)
        => other is not null && Provenance == other.Provenance && Sites.AsSpan().SequenceEqual(other.Sites.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SteeringMap);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Sites.Length, Sites[0], Provenance);
}
