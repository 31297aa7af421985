using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Map files: tensors <c>SITE/w</c>, <c>SITE/b</c> and, where there are bounds, <c>SITE/lo</c>, <c>SITE/hi</c>, all
/// <c>[channels]</c>. Written in float32; other floating-point types are read, bounds of float64 rounded outward.
/// </summary>
internal static class SteeringMapFile
{
    private const string Kind = "map.1";
    private static readonly string[] Suffixes = ["w", "b", "lo", "hi"];

    public static void Save(string path, SteeringMap map)
        => SafetensorsWriter.Write(path, map.Sites.SelectMany(Tensors), Metadata(map));

    public static SteeringMap Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var metadata = new MetadataReader(path, file.Metadata);
        metadata.CheckKind(Kind, "a steering map");
        if (file.Tensors.IsEmpty)
            throw new OnnxException($"'{path}' holds no tensors; a steering map has at least 'SITE/w' and 'SITE/b'.");
        return new SteeringMap(
            metadata.Order("sites", Names(path, file)).Select(site => new SiteTransport(site, ReadSite(file, site))),
            ReadProvenance(metadata));
    }

    private static IEnumerable<SafetensorsTensor> Tensors(SiteTransport entry)
    {
        var (site, transport) = entry;
        yield return SafetensorsTensor.Of($"{site}/w", transport.W.AsSpan());
        yield return SafetensorsTensor.Of($"{site}/b", transport.B.AsSpan());
        if (transport.Support is not { } support)
            yield break;
        yield return SafetensorsTensor.Of<float>($"{site}/lo",
            [.. support.Lo.Select(v => float.IsFinite(v) ? v : -Support.NoBound)]);
        yield return SafetensorsTensor.Of<float>($"{site}/hi",
            [.. support.Hi.Select(v => float.IsFinite(v) ? v : Support.NoBound)]);
    }

    private static List<string> Names(string path, SafetensorsFile file)
    {
        if (file.Contains("timesteps/edges"))
            throw new OnnxException($"'{path}' holds 'timesteps/edges': maps by timestep are not supported here yet. Use a map "
                + "with one transport a site.");
        var sites = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var tensor in file.Tensors)
        {
            var slash = tensor.Name.LastIndexOf('/');
            if (slash <= 0 || !Suffixes.Contains(tensor.Name[(slash + 1)..]))
                throw new OnnxException($"'{path}' holds a tensor '{tensor.Name}'; a steering map's are named SITE/w, SITE/b, "
                    + "SITE/lo and SITE/hi.");
            if (seen.Add(tensor.Name[..slash]))
                sites.Add(tensor.Name[..slash]);
        }
        return sites;
    }

    private static Transport ReadSite(SafetensorsFile file, string site)
    {
        Require(file, site, "w", "a transport needs both 'w' and 'b'");
        Require(file, site, "b", "a transport needs both 'w' and 'b'");
        var w = ReadParameter(file, $"{site}/w");
        var b = ReadParameter(file, $"{site}/b");
        if (!file.Contains($"{site}/lo") && !file.Contains($"{site}/hi"))
            return Check(file, () => Transport.Of(site, w, b));
        Require(file, site, "lo", "bounds come in pairs; -1e6 stands for none");
        Require(file, site, "hi", "bounds come in pairs; 1e6 stands for none");
        var lo = ReadBounds(file, $"{site}/lo", Support.RoundDown);
        var hi = ReadBounds(file, $"{site}/hi", Support.RoundUp);
        return Check(file, () => Transport.Of(site, w, b, lo, hi));
    }

    private static void Require(SafetensorsFile file, string site, string suffix, string why)
    {
        if (!file.Contains($"{site}/{suffix}"))
            throw new OnnxException($"'{file.Path}' holds no '{site}/{suffix}'; {why}.");
    }

    private static ImmutableArray<float> ReadParameter(SafetensorsFile file, string name)
    {
        CheckRank(file, name);
        return [.. file.ReadSingles(name)];
    }

    private static ImmutableArray<float> ReadBounds(SafetensorsFile file, string name, Func<double, float> round)
    {
        CheckRank(file, name);
        return [.. file.ReadDoubles(name).Select(round)];
    }

    private static void CheckRank(SafetensorsFile file, string name)
    {
        if (file[name].Shape.Length != 1)
            throw new OnnxException($"'{name}' of '{file.Path}' is {file[name]}; expected one dimension, [channels].");
    }

    private static Transport Check(SafetensorsFile file, Func<Transport> make)
    {
        try
        {
            return make();
        }
        catch (OnnxException cause)
        {
            throw new OnnxException($"'{file.Path}': {cause.Message}", cause);
        }
    }

    private static SortedDictionary<string, string> Metadata(SteeringMap map)
    {
        var p = map.Provenance;
        var metadata = new MetadataBuilder(Kind);
        metadata.Add("sites", map.Sites.Select(s => s.Site));
        metadata.Add("method", p.Method);
        metadata.Add("settings", p.Settings);
        metadata.Add("pooling", p.Pooling);
        metadata.Add("band", p.Band);
        metadata.Add("causal", p.Causal switch { null => null, true => "true", false => "false" });
        metadata.Add("order", p.Order);
        metadata.Add("samples", p.Samples);
        metadata.Add("source_digest", p.SourceDigest);
        metadata.Add("target_digest", p.TargetDigest);
        metadata.Add("tool", p.Tool);
        metadata.Add("label", p.Label);
        metadata.Add("fingerprint", p.Fingerprint);
        metadata.Add("tokens", p.Tokens);
        metadata.Add("made_from", p.MadeFrom);
        return metadata.Values;
    }

    private static Provenance ReadProvenance(MetadataReader metadata) => new(
        metadata.Text("method"), metadata.Text("pooling"), metadata.Text("band"), metadata.Flag("causal"), metadata.Text("order"),
        metadata.Samples("samples"), metadata.Text("source_digest"), metadata.Text("target_digest"), metadata.Text("tool"),
        metadata.Text("label"), metadata.Fingerprint("fingerprint"), metadata.Text("settings"), metadata.Text("tokens"), metadata.Text("made_from"));
}
