using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Where activations come from; every part may be unknown (null).</summary>
/// <param name="Pooling">How tokens were pooled, as <c>mean</c>.</param>
/// <param name="Digest">SHA-256 of the prompts (<see cref="PromptSet.Digest"/>).</param>
/// <param name="Tool">Program and version that captured them.</param>
/// <param name="Fingerprint">The model.</param>
/// <param name="Tokens">Which tokens were pooled, as <c>completion 0:10 skip-first</c>; null for all.</param>
public sealed record ActivationOrigin(
    string? Pooling = null, string? Digest = null, string? Tool = null, Fingerprint? Fingerprint = null, string? Tokens = null)
{
    /// <summary>Nothing is known.</summary>
    public static ActivationOrigin Unknown { get; } = new();
}

/// <summary>One site's pooled activations.</summary>
/// <param name="Site">The site's name.</param>
/// <param name="Values">One row a prompt: <c>[samples, channels]</c>.</param>
public sealed record SiteActivations(string Site, Matrix Values);

/// <summary>Pooled activations of the same prompts at several sites, in the order of execution.</summary>
public sealed class ActivationSet
{
    private readonly Dictionary<string, Matrix> bySite;

    /// <summary>Activations of at least one site.</summary>
    /// <exception cref="OnnxException">No site, a site twice, or another number of samples at one site than at the
    /// first.</exception>
    public ActivationSet(IEnumerable<SiteActivations> sites, ActivationOrigin? origin = null)
    {
        Sites = [.. sites];
        Origin = origin ?? ActivationOrigin.Unknown;
        if (Sites.IsEmpty)
            throw new OnnxException("There are no activations: at least one site is needed.");
        bySite = new Dictionary<string, Matrix>(StringComparer.Ordinal);
        foreach (var (site, values) in Sites)
        {
            if (!bySite.TryAdd(site, values))
                throw new OnnxException($"Activations of site '{site}' are there twice.");
            if (values.Rows != Samples)
                throw new OnnxException($"Site '{site}' has {values.Rows} samples, but '{Sites[0].Site}' has {Samples}; "
                    + "the rows of all sites must be the same prompts. Capture all sites together.");
        }
    }

    /// <summary>The sites and their activations, in the order of execution.</summary>
    public ImmutableArray<SiteActivations> Sites { get; }

    /// <summary>Where the activations come from.</summary>
    public ActivationOrigin Origin { get; }

    /// <summary>The number of samples, the same at every site.</summary>
    public int Samples => Sites[0].Values.Rows;

    /// <summary>The activations of a site.</summary>
    /// <exception cref="OnnxException">There is no such site.</exception>
    public Matrix this[string site] => Find(site) ?? throw new OnnxException(
        $"There are no activations of site '{site}'; there are "
            + $"{string.Join(", ", Sites.Take(8).Select(s => $"'{s.Site}'"))}{(Sites.Length > 8 ? ", ..." : ".")}");

    /// <summary>The activations of a site, or null where there are none.</summary>
    public Matrix? Find(string site) => bySite.GetValueOrDefault(site);

    /// <summary>Reads a file of tensors named by site, <c>[samples, channels]</c>.</summary>
    /// <exception cref="OnnxException">The file is not such a file.</exception>
    public static ActivationSet Load(string path) => ActivationFile.Load(path);

    /// <summary>Writes a file of tensors named by site, atomically.</summary>
    public void Save(string path) => ActivationFile.Save(path, this);
}

/// <summary>Pooled activations of two sets of prompts at the same sites.</summary>
/// <param name="Source">Where activations come from.</param>
/// <param name="Target">Where they shall go.</param>
public sealed record ActivationPair(ActivationSet Source, ActivationSet Target)
{
    /// <summary>Reads a file of tensors <c>source/SITE</c> and <c>target/SITE</c>, <c>[samples, channels]</c>.</summary>
    /// <exception cref="OnnxException">The file is not such a file.</exception>
    public static ActivationPair Load(string path) => ActivationFile.LoadPair(path);

    /// <summary>Writes a file of tensors <c>source/SITE</c> and <c>target/SITE</c>, atomically.</summary>
    public void Save(string path) => ActivationFile.Save(path, this);
}
