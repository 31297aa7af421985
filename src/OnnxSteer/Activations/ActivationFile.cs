using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Files of pooled activations: of one set of prompts, or of a source and a target.</summary>
internal static class ActivationFile
{
    private const string SetKind = "activations.1";
    private const string PairKind = "activation-pair.1";
    private const string SourcePrefix = "source/";
    private const string TargetPrefix = "target/";

    public static void Save(string path, ActivationSet set)
    {
        var metadata = new MetadataBuilder(SetKind);
        metadata.Add("sites", set.Sites.Select(s => s.Site));
        AddOrigin(metadata, "", set.Origin);
        SafetensorsWriter.Write(path, set.Sites.Select(s => SafetensorsTensor.Of(s.Site, s.Values)), metadata.Values);
    }

    public static void Save(string path, ActivationPair pair)
    {
        var metadata = new MetadataBuilder(PairKind);
        metadata.Add("source_sites", pair.Source.Sites.Select(s => s.Site));
        metadata.Add("target_sites", pair.Target.Sites.Select(s => s.Site));
        AddOrigin(metadata, "source_", pair.Source.Origin);
        AddOrigin(metadata, "target_", pair.Target.Origin);
        SafetensorsWriter.Write(path, Tensors(SourcePrefix, pair.Source).Concat(Tensors(TargetPrefix, pair.Target)),
            metadata.Values);
    }

    public static ActivationSet Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var metadata = new MetadataReader(path, file.Metadata);
        metadata.CheckKind(SetKind, "activations of one set of prompts");
        return Read(file, metadata, "sites", "", "");
    }

    public static ActivationPair LoadPair(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var metadata = new MetadataReader(path, file.Metadata);
        metadata.CheckKind(PairKind, "activations of a source and a target");
        if (file.Tensors.FirstOrDefault(t => !IsNamed(t.Name, SourcePrefix) && !IsNamed(t.Name, TargetPrefix)) is { } other)
            throw new OnnxException($"'{path}' holds a tensor '{other.Name}'; activations of a source and a target are named "
                + "source/SITE and target/SITE.");
        return new ActivationPair(
            Read(file, metadata, "source_sites", SourcePrefix, "source_"),
            Read(file, metadata, "target_sites", TargetPrefix, "target_"));
    }

    private static ActivationSet Read(
        SafetensorsFile file, MetadataReader metadata, string listKey, string prefix, string originPrefix)
    {
        var present = file.Tensors.Where(t => IsNamed(t.Name, prefix)).Select(t => t.Name[prefix.Length..]).ToList();
        if (present.Count == 0)
            throw new OnnxException($"'{file.Path}' holds no {(prefix.Length == 0 ? "tensors" : $"tensors '{prefix}SITE'")}; "
                + "activations need at least one site.");
        var origin = new ActivationOrigin(metadata.Text(originPrefix + "pooling"), metadata.Text(originPrefix + "digest"),
            metadata.Text(originPrefix + "tool"), metadata.Fingerprint(originPrefix + "fingerprint"), metadata.Text(originPrefix + "tokens"));
        var sites = metadata.Order(listKey, present).Select(site => new SiteActivations(site, file.ReadMatrix(prefix + site)));
        return new ActivationSet(sites, origin);
    }

    private static IEnumerable<SafetensorsTensor> Tensors(string prefix, ActivationSet set)
        => set.Sites.Select(s => SafetensorsTensor.Of(prefix + s.Site, s.Values));

    private static void AddOrigin(MetadataBuilder metadata, string prefix, ActivationOrigin origin)
    {
        metadata.Add(prefix + "pooling", origin.Pooling);
        metadata.Add(prefix + "digest", origin.Digest);
        metadata.Add(prefix + "tool", origin.Tool);
        metadata.Add(prefix + "fingerprint", origin.Fingerprint);
        metadata.Add(prefix + "tokens", origin.Tokens);
    }

    private static bool IsNamed(string name, string prefix)
        => name.Length > prefix.Length && name.StartsWith(prefix, StringComparison.Ordinal);
}
