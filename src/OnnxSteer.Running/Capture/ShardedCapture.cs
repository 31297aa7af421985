using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using OnnxSteer.Onnx;

namespace OnnxSteer.Running;

/// <summary>How a part of a capture went.</summary>
/// <param name="Done">Shards that this call computed.</param>
/// <param name="Kept">Shards that were there already, complete.</param>
/// <param name="Damaged">Files that were there and are no shards of this plan as they should be; they were computed anew.</param>
public sealed record ShardProgress(int Done, int Kept, ImmutableArray<string> Damaged);

/// <summary>
/// Captures into a folder of shards. Its plan is stored first; a shard is some of the plan's batches in one file, complete or
/// absent. Whatever was done before a kill is kept, and several processes may each take a part. What is merged has the bits
/// of a capture by one process.
/// </summary>
public static class ShardedCapture
{
    private const string Kind = "activation-shard.1", PlanKey = "plan", DigestKey = "values", ShardKey = "shard";

    /// <summary>Captures one part: the shards whose number has the remainder <paramref name="part"/>.</summary>
    /// <param name="folder">Where the shards go; made if need be. One with another plan is refused.</param>
    /// <param name="plan">The plan.</param>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites of the plan.</param>
    /// <param name="prompts">The prompts of the plan.</param>
    /// <param name="options">The options of the plan.</param>
    /// <param name="part">Which part, from 0.</param>
    /// <param name="parts">How many parts there are; more than shards leave some with nothing to do.</param>
    /// <param name="progress">Told how many prompts of this part are done, those of complete shards included.</param>
    /// <param name="cancel">Ends the capture; complete shards stay.</param>
    /// <exception cref="OnnxException">The folder holds the shards of another plan; the message says what differs.</exception>
    public static ShardProgress Run(
        string folder, CapturePlan plan, Model model, ImmutableArray<Site> sites, TokenizedPrompts prompts, CaptureOptions options, int part = 0, int parts = 1,
        IProgress<int>? progress = null, CancellationToken cancel = default)
    {
        cancel.ThrowIfCancellationRequested();
        Fix(folder, plan);
        var (digest, done, kept, prompted) = (plan.Digest(), 0, 0, 0);
        var damaged = ImmutableArray.CreateBuilder<string>();
        CaptureSession? session = null;
        try
        {
            for (var shard = part; shard < plan.Shards; shard += parts)
            {
                var path = Path.Combine(folder, plan.FileOf(shard));
                var batches = plan.BatchesOf(shard);
                if (File.Exists(path) && Problem(path, plan, digest, shard) is var problem)
                {
                    if (problem is null)
                    {
                        kept++;
                        progress?.Report(prompted += batches.Sum(batch => batch.Length));
                        continue;
                    }
                    damaged.Add(problem);
                }
                session ??= new CaptureSession(model, sites, prompts, options);
                var values = sites.Select(site => new float[batches.Sum(batch => batch.Length) * site.Channels]).ToArray();
                var row = 0;
                foreach (var batch in batches)
                {
                    var first = row;
                    session.Run(batch, i => first + i, values, cancel);
                    row += batch.Length;
                    progress?.Report(prompted += batch.Length);
                }
                Write(path, plan, digest, shard, values);
                done++;
            }
        }
        finally
        {
            session?.Dispose();
        }
        return new ShardProgress(done, kept, damaged.ToImmutable());
    }

    /// <summary>Whether a path is a folder of shards.</summary>
    public static bool IsAt(string path) => Directory.Exists(path) && File.Exists(Path.Combine(path, CapturePlan.FileName));

    /// <summary>Reads all shards of a folder, in the order of the prompts.</summary>
    /// <exception cref="OnnxException">Shards are missing, damaged, or of another plan; the message names them.</exception>
    public static ActivationSet Load(string folder)
    {
        var plan = CapturePlan.Load(Path.Combine(folder, CapturePlan.FileName));
        var digest = plan.Digest();
        string[] missing = [.. Enumerable.Range(0, plan.Shards).Select(plan.FileOf).Where(name => !File.Exists(Path.Combine(folder, name)))];
        if (missing.Length > 0)
            throw new OnnxException($"'{folder}' lacks {missing.Length} of its {plan.Shards} shards: {string.Join(", ", missing.Take(8))}{(missing.Length > 8 ? ", ..." : "")}. Call the same capture again; what is there is kept.");
        var values = plan.Sites.Select(site => new float[plan.Count() * site.Channels]).ToArray();
        for (var shard = 0; shard < plan.Shards; shard++)
        {
            var path = Path.Combine(folder, plan.FileOf(shard));
            if (Problem(path, plan, digest, shard) is { } problem)
                throw new OnnxException($"{problem} Call the same capture again: it computes this shard anew.");
            using var file = SafetensorsFile.Open(path);
            int[] rows = [.. plan.BatchesOf(shard).SelectMany(batch => batch)];
            foreach (var (i, site) in plan.Sites.Index())
            {
                var matrix = file.ReadMatrix(site.Name);
                for (var row = 0; row < rows.Length; row++)
                    matrix.Row(row).CopyTo(values[i].AsSpan(rows[row] * site.Channels));
            }
        }
        return new ActivationSet(
            plan.Sites.Select((site, i) => new SiteActivations(site.Name, Capture.Weighted(Matrix.Of(plan.Count(), site.Channels, values[i]), plan.Weights))),
            new ActivationOrigin(plan.Pooling, plan.Prompts, plan.Tool, plan.Model, plan.Tokens));
    }

    // Several processes may come first at once: they write the same bytes.
    private static void Fix(string folder, CapturePlan plan)
    {
        var path = Path.Combine(folder, CapturePlan.FileName);
        if (!File.Exists(path))
        {
            if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any(entry => Path.GetFileName(entry) != CapturePlan.FileName && !Path.GetFileName(entry).EndsWith(".tmp", StringComparison.Ordinal)) && !File.Exists(path))
                throw new OnnxException($"'{folder}' is not empty and has no {CapturePlan.FileName}, so it is no folder of shards. Name a new one.");
            plan.Save(path);
        }
        var there = CapturePlan.Load(path);
        if (there.Differences(plan) is { Count: > 0 } differences)
            throw new OnnxException($"'{folder}' holds the shards of another plan, and a merge of both would be neither ({string.Join("; ", differences)}). Call it as that one was, or name a new folder.");
    }

    private static void Write(string path, CapturePlan plan, string digest, int shard, float[][] values)
    {
        var rows = plan.BatchesOf(shard).Sum(batch => batch.Length);
        SafetensorsWriter.Write(path, plan.Sites.Select((site, i) => SafetensorsTensor.Of<float>(site.Name, values[i], [rows, site.Channels])), new Dictionary<string, string>
        {
            ["onnxsteer"] = Kind,
            [PlanKey] = digest,
            [ShardKey] = plan.FileOf(shard),
            [DigestKey] = DigestOf(values.Select(value => MemoryMarshal.AsBytes<float>(value).ToArray())),
        });
    }

    // What keeps a file from being that shard of that plan, or null.
    private static string? Problem(string path, CapturePlan plan, string digest, int shard)
    {
        try
        {
            using var file = SafetensorsFile.Open(path);
            var rows = plan.BatchesOf(shard).Sum(batch => batch.Length);
            if (file.Metadata.GetValueOrDefault("onnxsteer") != Kind || file.Metadata.GetValueOrDefault(PlanKey) != digest || file.Metadata.GetValueOrDefault(ShardKey) != plan.FileOf(shard))
                return $"'{path}' is a shard of another plan.";
            if (file.Tensors.Length != plan.Sites.Length || plan.Sites.Any(site => !file.Contains(site.Name) || file[site.Name] is not { Type: SafetensorsType.F32 } entry || !entry.Shape.SequenceEqual([rows, site.Channels])))
                return $"'{path}' does not hold the plan's {plan.Sites.Length} sites with {rows} rows each.";
            return file.Metadata.GetValueOrDefault(DigestKey) == DigestOf(plan.Sites.Select(site => file.ReadBytes(site.Name))) ? null : $"'{path}' is damaged: its values do not have the digest that they were written with.";
        }
        catch (OnnxException cause)
        {
            return cause.Message;
        }
    }

    private static string DigestOf(IEnumerable<byte[]> values)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var bytes in values)
            hash.AppendData(bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
