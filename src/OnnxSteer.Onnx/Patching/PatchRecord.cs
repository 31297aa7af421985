using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>
/// What a patch leaves in the model's metadata (<c>onnxsteer.patch.K</c>): who it is, and the bytes it replaced, so that
/// <see cref="Undo"/> gives back the file as it was.
/// </summary>
/// <param name="Label">The patch's name.</param>
/// <param name="Properties">What the patch says of itself.</param>
/// <param name="Length">Bytes of the model before.</param>
/// <param name="Sha256">Digest of the model before.</param>
/// <param name="Splices">What was replaced, in order of offset in the model before.</param>
/// <param name="Data">The patch's own data file, beside the model; null if it has none.</param>
/// <param name="Files">Data files that the model before reads and this one may not.</param>
public sealed record PatchRecord(
    string Label, SortedDictionary<string, string> Properties, long Length, string Sha256, IReadOnlyList<ReplacedBytes> Splices, string? Data = null,
    IReadOnlyList<string>? Files = null)
{
    private const string KeyPrefix = "onnxsteer.patch.";
    private const int MaxNumber = 1_000_000;

    // Longer pieces are kept in the patch's data file.
    private const int MaxReplacedBytes = 1 << 16;

    /// <summary>The patches in a model, oldest first.</summary>
    /// <exception cref="OnnxException">A record that is not readable.</exception>
    public static IReadOnlyList<PatchRecord> All(Model model) => [.. Entries(model.Metadata).Select(entry => Parse(model, entry.Key, entry.Value))];

    /// <summary>How many patches a model holds.</summary>
    public static int Count(Model model) => model.MetadataKeys.Count(key => NumberOf(key) > 0);

    /// <summary>The model without its last patch, byte for byte as it was.</summary>
    /// <exception cref="OnnxException">There is no patch, or something changed the file since.</exception>
    public static Model Undo(Model model)
    {
        var record = All(model) is [.., var last] ? last
            : throw new OnnxException($"{model.Source.Name}: there is no patch to remove: its metadata hold no '{KeyPrefix}' entry.");
        var changed = new OnnxException($"{model.Source.Name}: removing patch '{record.Label}' does not give back the model it was applied to, so the file was changed since by something else. It is left as it is; take the original model instead.");
        long shift = 0, previous = 0;
        var splices = new List<Splice>();
        foreach (var splice in record.Splices)
        {
            var bytes = splice.KeptAt is { } at ? Kept(at, splice.KeptLength) : ByteSource.From(splice.Bytes);
            if (splice.Offset < previous || splice.Length < 0 || splice.Offset > record.Length || splice.Length > model.Source.Length - splice.Offset - shift)
                throw changed;
            splices.Add(new Splice(splice.Offset + shift, splice.Length, bytes));
            shift += splice.Length - bytes.Length;
            previous = splice.Offset + bytes.Length;
        }
        // Behind the original's end lies the record itself.
        var end = record.Length + shift;
        if (end < 0 || end > model.Source.Length || previous > record.Length)
            throw changed;
        splices.Add(new Splice(end, model.Source.Length - end, ByteSource.From(default)));
        var original = SplicedSource.Of(model.Source, splices);
        if (original.Length != record.Length || original.Sha256() != record.Sha256)
            throw changed;
        return model.Derive(original, model.NewFiles);

        ByteSource Kept(long offset, long length)
        {
            if (record.Data is not { } file)
                throw changed;
            return model.DataFile(file, $"the record of patch '{record.Label}'").Slice(offset, length);
        }
    }

    /// <summary>Data files that undoing the patches of a model needs.</summary>
    internal static IEnumerable<string> FilesOf(Model model) =>
        Entries(model.StoredMetadata).Select(entry => Parse(model, entry.Key, entry.Value)).Concat(model.Pending is { } pending ? [pending.Record] : [])
            .SelectMany(record => (record.Files ?? []).Concat(record.Splices.Any(splice => splice.KeptAt is not null) && record.Data is { } data ? [data] : [])).Distinct();

    internal static int NextNumber(Model model) => model.MetadataKeys.Select(NumberOf).DefaultIfEmpty(0).Max() + 1;

    internal static PendingRecord Entry(Model model, PatchTitle title, IReadOnlyList<Splice> splices, PatchData data, IReadOnlyList<string> files)
    {
        var replaced = splices.Select(splice => splice.Removed <= MaxReplacedBytes
            ? new ReplacedBytes(splice.Offset, splice.Inserted.Length, model.Source.ToArray(splice.Offset, splice.Removed))
            : new ReplacedBytes(splice.Offset, splice.Inserted.Length, [], data.Add(model.Source.Slice(splice.Offset, splice.Removed)), splice.Removed)).ToList();
        var number = NextNumber(model);
        if (number >= MaxNumber)
            throw new OnnxException($"{model.Source.Name}: its metadata hold the entry '{KeyPrefix}{number - 1}', behind which no patch can record itself; something else wrote it. Remove the entry first.");
        return new PendingRecord(string.Create(CultureInfo.InvariantCulture, $"{KeyPrefix}{number}"), new PatchRecord(
            title.Label, new SortedDictionary<string, string>(title.Properties), model.Source.Length, "", replaced, data.IsEmpty ? null : data.Name, files.Count == 0 ? null : files), model.Source);
    }

    private static IEnumerable<KeyValuePair<string, string>> Entries(IEnumerable<KeyValuePair<string, string>> metadata) =>
        metadata.Where(entry => NumberOf(entry.Key) > 0).OrderBy(entry => NumberOf(entry.Key));

    private static int NumberOf(string key) =>
        key.StartsWith(KeyPrefix, StringComparison.Ordinal) && int.TryParse(key.AsSpan(KeyPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < MaxNumber ? number : 0;

    private static PatchRecord Parse(Model model, string key, string json)
    {
        try
        {
            if (JsonSerializer.Deserialize(json, PatchRecordJson.Default.PatchRecord) is
                { Label: not null, Properties: not null, Sha256: not null, Splices: not null } record && record.Splices.All(splice => splice is { Bytes: not null }))
                return record;
        }
        catch (JsonException)
        {
        }
        throw new OnnxException($"{model.Source.Name}: the metadata entry '{key}' is no readable patch record; something changed the file since the patch was applied.");
    }
}

/// <summary>Bytes that a patch replaced.</summary>
/// <param name="Offset">Where they lay in the model before.</param>
/// <param name="Length">How many bytes took their place.</param>
/// <param name="Bytes">The bytes themselves, unless they are kept elsewhere.</param>
/// <param name="KeptAt">Where they begin in the patch's data file.</param>
/// <param name="KeptLength">How many lie there.</param>
public sealed record ReplacedBytes(long Offset, long Length, byte[] Bytes, long? KeptAt = null, long KeptLength = 0);

[JsonSerializable(typeof(PatchRecord))]
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
internal sealed partial class PatchRecordJson : JsonSerializerContext;
