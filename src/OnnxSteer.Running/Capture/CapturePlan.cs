using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>One site of a plan.</summary>
/// <param name="Name">The site.</param>
/// <param name="Channels">Its channels.</param>
public sealed record PlannedSite(string Name, int Channels);

/// <summary>
/// All that the bits of a capture depend on, fixed before anything runs and stored, so that several processes capture parts of one
/// population as one would. Shard <c>s</c> of K holds the batches <c>s, s+K, ..</c>: short and long prompts are spread evenly.
/// </summary>
/// <param name="Kind">What kind of file it is, and its version.</param>
/// <param name="Shards">How many shards there are.</param>
/// <param name="Pooling">How tokens are pooled.</param>
/// <param name="Tokens">Which tokens are, in words; null for all.</param>
/// <param name="Prompts">Digest of the prompts.</param>
/// <param name="Ids">Digest of their token ids, of which are pooled, and of the weights.</param>
/// <param name="Seed">The seed that prompts were drawn by.</param>
/// <param name="BatchSize">Prompts in one call.</param>
/// <param name="Threads">Threads inside an operator; another number may sum up in another order.</param>
/// <param name="Provider">Where the model runs.</param>
/// <param name="Runtime">ONNX Runtime's version.</param>
/// <param name="Tool">Program and version.</param>
/// <param name="Model">The model.</param>
/// <param name="Sites">The sites, in their order.</param>
/// <param name="Weights">How many samples each prompt stands for; null where each is one.</param>
/// <param name="Batches">The calls: numbers of prompts.</param>
public sealed record CapturePlan(
    string Kind, int Shards, string Pooling, string? Tokens, string Prompts, string Ids, int Seed, int BatchSize, int Threads, string Provider, string Runtime, string Tool,
    Fingerprint Model, ImmutableArray<PlannedSite> Sites, ImmutableArray<int>? Weights, ImmutableArray<ImmutableArray<int>> Batches)
{
    /// <summary>What the file is called in the folder of the shards.</summary>
    public const string FileName = "plan.json";

    private const string ThisKind = "capture-plan.1";
    private const long MaximumLength = 1 << 28;
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        UnmappedMemberHandling = System.Text.Json.Serialization.JsonUnmappedMemberHandling.Disallow,
        RespectRequiredConstructorParameters = true,
        RespectNullableAnnotations = true,
    };

    /// <summary>Plans a capture.</summary>
    /// <param name="model">The model.</param>
    /// <param name="sites">The sites to read.</param>
    /// <param name="prompts">The prompts.</param>
    /// <param name="tokens">The same, encoded.</param>
    /// <param name="options">How.</param>
    /// <param name="shards">How many shards; there are no more than batches.</param>
    /// <param name="seed">The seed that the prompts were drawn by.</param>
    public static CapturePlan Of(Model model, ImmutableArray<Site> sites, PromptSet prompts, TokenizedPrompts tokens, CaptureOptions options, int shards, int seed)
    {
        var batches = BatchPlan.Of(tokens.Rows.Select(row => row.Length), options.BatchSize).Batches;
        return new CapturePlan(ThisKind, Math.Clamp(shards, 1, batches.Length), options.Pooling.Name(), tokens.ChosenBy, prompts.Digest, tokens.Digest(), seed, options.BatchSize,
            options.Session?.IntraOpThreads ?? 0, string.Join(' ', (options.Session?.ExecutionProviders ?? []).Select(provider => provider.Name).Append("cpu")), OrtLibrary.Version, Provenance.ThisTool,
            Fingerprints.Of(model, SiteTable.Of(model)), [.. sites.Select(site => new PlannedSite(site.Name, site.Channels))], tokens.Weights, batches);
    }

    /// <summary>SHA-256 of the plan as it is written, which every shard bears.</summary>
    public string Digest() => Convert.ToHexStringLower(SHA256.HashData(ToBytes()));

    /// <summary>The number of prompts.</summary>
    public int Count() => Batches.Sum(batch => batch.Length);

    /// <summary>The batches of a shard, from 0.</summary>
    public ImmutableArray<ImmutableArray<int>> BatchesOf(int shard) => [.. Batches.Where((_, i) => i % Shards == shard)];

    /// <summary>The file of a shard, from 0.</summary>
    public string FileOf(int shard) => $"shard-{shard + 1:D5}-of-{Shards:D5}.safetensors";

    /// <summary>What differs from another plan, for people; empty where nothing does.</summary>
    public IReadOnlyList<string> Differences(CapturePlan other)
    {
        var differences = new List<string>();
        Compare("shards", Shards, other.Shards);
        Compare("pooling", Pooling, other.Pooling);
        Compare("tokens pooled", Tokens ?? "all", other.Tokens ?? "all");
        Compare("prompts (digest)", Prompts, other.Prompts);
        Compare("token ids (digest)", Ids, other.Ids);
        Compare("seed", Seed, other.Seed);
        Compare("batch size", BatchSize, other.BatchSize);
        Compare("threads", Threads, other.Threads);
        Compare("provider", Provider, other.Provider);
        Compare("ONNX Runtime", Runtime, other.Runtime);
        Compare("tool", Tool, other.Tool);
        Compare("model (places)", Model.Places, other.Model.Places);
        Compare("model (graph)", Model.Graph, other.Model.Graph);
        Compare("model (weights)", Model.Weights, other.Model.Weights);
        Compare("sites", string.Join(' ', Sites.Select(site => site.Name)), string.Join(' ', other.Sites.Select(site => site.Name)));
        if (differences.Count == 0 && Digest() != other.Digest())
            differences.Add("its batches are others");
        return differences;

        void Compare(string what, object here, object there)
        {
            if (!here.Equals(there))
                differences.Add($"{what}: {Short(here)} there, {Short(there)} here");
        }

        static string Short(object value) => value.ToString() is { Length: > 60 } text ? $"{text[..57]}..." : value.ToString()!;
    }

    /// <summary>Writes the plan atomically; equal plans give equal bytes.</summary>
    public void Save(string path) => AtomicFile.Write(path, stream => stream.Write(ToBytes()));

    /// <summary>Reads a plan.</summary>
    /// <exception cref="OnnxException">It is none, or contradicts itself.</exception>
    public static CapturePlan Load(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaximumLength)
                throw new OnnxException($"'{path}' is longer than {MaximumLength} bytes; a capture's plan was expected.");
            var plan = JsonSerializer.Deserialize<CapturePlan>(File.ReadAllBytes(path), Format);
            return plan is not null && plan.IsSound() ? plan : throw new OnnxException($"'{path}' is no plan of a capture of kind '{ThisKind}', or contradicts itself. Capture into a new folder.");
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new OnnxException($"'{path}' cannot be read as the plan of a capture: {cause.Message}", cause);
        }
    }

    // Every prompt in one batch, once; nothing that would let a file be named or an array be sized at will.
    private bool IsSound() =>
        Kind == ThisKind && !Batches.IsDefaultOrEmpty && !Sites.IsDefaultOrEmpty && Batches.All(batch => !batch.IsDefaultOrEmpty) && Shards >= 1 && Shards <= Batches.Length
        && Sites.All(site => site is { Name: not null, Channels: > 0 }) && Sites.Select(site => site.Name).Distinct().Count() == Sites.Length
        && Batches.SelectMany(batch => batch).Order().SequenceEqual(Enumerable.Range(0, Count()))
        && (Weights is not { } weights || weights.Length == Count() && weights.All(weight => weight is > 0 and <= PromptFile.MaximumWeight));

    private byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Format);
}
