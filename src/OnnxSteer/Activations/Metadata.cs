using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// The <c>__metadata__</c> of our files: plain strings, and JSON where a value has parts. The key <c>onnxsteer</c> says what
/// kind of file it is; files of other programs lack it.
/// </summary>
internal sealed class MetadataBuilder(string kind)
{
    public SortedDictionary<string, string> Values { get; } = new(StringComparer.Ordinal) { [MetadataReader.KindKey] = kind };

    public void Add(string key, string? value)
    {
        if (value is not null)
            Values.Add(key, value);
    }

    public void Add(string key, IEnumerable<string> values)
        => Values.Add(key, JsonSerializer.Serialize([.. values], MetadataJson.Readable.StringArray));

    public void Add(string key, SampleCounts? value)
        => Add(key, value is null ? null : JsonSerializer.Serialize(value, MetadataJson.Readable.SampleCounts));

    public void Add(string key, Fingerprint? value)
        => Add(key, value is null ? null : JsonSerializer.Serialize(value, MetadataJson.Readable.Fingerprint));
}

/// <summary>
/// Reads what <see cref="MetadataBuilder"/> writes; a missing key is null. A value of the wrong form is an error that names it
/// in our files; in those of other programs, which may mean something else by the key, it is null too.
/// </summary>
internal sealed class MetadataReader(string path, ImmutableSortedDictionary<string, string> values)
{
    public const string KindKey = "onnxsteer";

    /// <summary>Whether the file says that this program wrote it.</summary>
    public bool IsOurs => values.ContainsKey(KindKey);

    public void CheckKind(string kind, string expected)
    {
        if (Text(KindKey) is { } found && found != kind)
            throw new OnnxException($"'{path}' is of kind '{found}'; expected {expected}, kind '{kind}'. "
                + "Give another file, or use the version of the program that wrote it.");
    }

    public string? Text(string key) => values.GetValueOrDefault(key);

    public bool? Flag(string key) => Text(key) switch
    {
        null => null,
        "true" => true,
        "false" => false,
        var other => IsOurs ? throw Bad(key, other, "'true' or 'false'") : null,
    };

    /// <summary>
    /// The sites in the recorded order, else in the file's: programs that rewrite a file sort its tensors by name.
    /// </summary>
    public IReadOnlyList<string> Order(string key, IReadOnlyList<string> sites)
    {
        var recorded = Parse(key, MetadataJson.Readable.StringArray, "a JSON list of strings",
            static list => Array.TrueForAll(list, item => item is not null));
        if (recorded is null)
            return sites;
        if (recorded.Length == sites.Count && recorded.ToHashSet(StringComparer.Ordinal).SetEquals(sites))
            return recorded;
        return IsOurs
            ? throw new OnnxException($"The metadata of '{path}' lists {recorded.Length} sites under '{key}', but its tensors "
                + $"belong to {sites.Count}; they differ in "
                + $"'{recorded.Except(sites).Concat(sites.Except(recorded)).FirstOrDefault() ?? "a repeated site"}'. Correct "
                + "the list or leave it out.")
            : sites;
    }

    public SampleCounts? Samples(string key)
        => Parse(key, MetadataJson.Readable.SampleCounts, """{"source": N, "target": N}""", static _ => true);

    public Fingerprint? Fingerprint(string key)
        => Parse(key, MetadataJson.Readable.Fingerprint, """{"places": TEXT, "graph": TEXT, "weights": TEXT}""",
            static f => f.Places is not null && f.Graph is not null && f.Weights is not null);

    private T? Parse<T>(string key, JsonTypeInfo<T> type, string expected, Func<T, bool> complete)
        where T : class
    {
        if (Text(key) is not { } text)
            return null;
        T? value = null;
        try
        {
            value = JsonSerializer.Deserialize(text, type);
        }
        catch (JsonException)
        {
            // Said below, with the key and what it should hold.
        }
        if (value is not null && complete(value))
            return value;
        return IsOurs ? throw Bad(key, text, expected) : null;
    }

    private OnnxException Bad(string key, string value, string expected)
        => new($"The metadata of '{path}' has '{key}' = '{value}'; expected {expected}. Correct the value or leave it out.");
}

[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(SampleCounts))]
[JsonSerializable(typeof(Fingerprint))]
internal sealed partial class MetadataJsonContext : JsonSerializerContext;

internal static class MetadataJson
{
    /// <summary>Without escapes for letters outside ASCII: people read these files too.</summary>
    public static MetadataJsonContext Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
