using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// A direction in the activations of one site, as of a concept; what gates and monitors project on. The projection of an
/// activation z is <c>z·v/|v|</c>, in units of the activation (CAST, arXiv 2409.05907, uses the same as a condition).
/// </summary>
public sealed class Direction
{
    private const string Suffix = "/direction", ThresholdSuffix = "/threshold";

    private Direction(string site, ImmutableArray<float> unit, float? threshold) => (Site, Unit, Threshold) = (site, unit, threshold);

    /// <summary>The model it was fitted on; null where nobody said.</summary>
    public Fingerprint? FittedOn { get; private init; }

    /// <summary>The site's name.</summary>
    public string Site { get; }

    /// <summary>The vector, <c>[channels]</c>, of length 1.</summary>
    public ImmutableArray<float> Unit { get; }

    /// <summary>Beyond which projection the concept is said to be there; null where nobody said.</summary>
    public float? Threshold { get; }

    /// <summary>The direction of a vector.</summary>
    /// <param name="site">The site.</param>
    /// <param name="vector"><c>[channels]</c>, of any length but 0.</param>
    /// <param name="threshold">In units of the activation.</param>
    /// <exception cref="OnnxException">The vector is empty, zero or not finite, or the threshold is not finite.</exception>
    public static Direction Of(string site, ReadOnlySpan<float> vector, float? threshold = null)
    {
        var squares = 0.0;
        foreach (var value in vector)
            squares += (double)value * value;
        if (!double.IsFinite(squares) || squares == 0)
            throw new OnnxException($"The direction at site '{site}' has length {Math.Sqrt(squares)}; a vector of finite numbers, not all 0, was expected.");
        if (threshold is { } limit && !float.IsFinite(limit))
            throw new OnnxException($"The threshold of the direction at site '{site}' is {limit}; a finite number was expected.");
        var length = Math.Sqrt(squares);
        var unit = ImmutableArray.CreateBuilder<float>(vector.Length);
        foreach (var value in vector)
            unit.Add((float)(value / length));
        return new Direction(site, unit.MoveToImmutable(), threshold);
    }

    /// <summary>
    /// Reads the direction of one site: the tensor <c>SITE/direction</c> <c>[channels]</c> and, where it is there,
    /// <c>SITE/threshold</c> <c>[1]</c>; or the shift <c>SITE/b</c> of a steering map, as a difference of means is one.
    /// </summary>
    /// <param name="path">A safetensors file.</param>
    /// <param name="site">Which site; null where the file has only one.</param>
    /// <exception cref="OnnxException">The file has no such direction, or several and none was named.</exception>
    public static Direction Load(string path, string? site = null)
    {
        using var file = SafetensorsFile.Open(path);
        var suffix = file.Tensors.Any(tensor => tensor.Name.EndsWith(Suffix, StringComparison.Ordinal)) ? Suffix : "/b";
        var sites = file.Tensors.Where(tensor => tensor.Name.EndsWith(suffix, StringComparison.Ordinal)).Select(tensor => tensor.Name[..^suffix.Length]).ToList();
        var list = $"It has {(sites.Count == 0 ? "none" : string.Join(", ", sites.Take(8).Select(name => $"'{name}'")) + (sites.Count > 8 ? ", ..." : ""))}.";
        if (site is null && sites.Count != 1)
            throw new OnnxException($"'{path}' holds {sites.Count} directions ('SITE/direction', or 'SITE/b' of a map), so the site must be named. {list}");
        site ??= sites[0];
        if (!sites.Contains(site))
            throw new OnnxException($"'{path}' holds no direction at site '{site}' ('{site}/direction', or '{site}/b' of a map). {list}");
        var vector = file.ReadSingles(site + suffix);
        if (file[site + suffix].Shape.Length != 1)
            throw new OnnxException($"'{site}{suffix}' of '{path}' is {file[site + suffix]}; one dimension, [channels], was expected.");
        float? threshold = null;
        if (file.Contains(site + ThresholdSuffix))
            threshold = file.ReadSingles(site + ThresholdSuffix) is [var one] ? one
                : throw new OnnxException($"'{site}{ThresholdSuffix}' of '{path}' is {file[site + ThresholdSuffix]}; one number was expected.");
        var direction = Of(site, vector, threshold);
        return new Direction(site, direction.Unit, threshold) { FittedOn = new MetadataReader(path, file.Metadata).Fingerprint("fingerprint") };
    }
}
