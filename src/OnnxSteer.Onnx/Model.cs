using System.Collections.Concurrent;
using System.Collections.Immutable;
using Google.Protobuf;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>Which version of an operator domain a model uses.</summary>
/// <param name="Domain">The domain; empty for ai.onnx.</param>
/// <param name="Version">The opset version.</param>
public sealed record OpsetImport(string Domain, long Version)
{
    internal static long? VersionOf(IEnumerable<OpsetImport> imports, string domain) =>
        imports.FirstOrDefault(import => Plain(import.Domain) == Plain(domain))?.Version;

    // ONNX's own domain has two names.
    private static string Plain(string domain) => domain == "ai.onnx" ? "" : domain;
}

/// <summary>
/// An ONNX model: the bytes of its file, and typed, read-only views on them. Nothing is ever re-serialized; a patch gives
/// a new model that shares the untouched bytes. External data stay in their files.
/// </summary>
public sealed class Model
{
    private const int MaxMessageBytes = 1 << 24;

    private readonly ConcurrentDictionary<string, ByteSource> _externalFiles = new();
    private readonly Lazy<Dictionary<string, Graph>> _graphsByPath;
    private readonly Lazy<HashSet<string>> _names;
    private ImmutableArray<KeyValuePair<string, string>> _metadata = [];
    private NamePool? _pool;

    private Model(ByteSource source, string? folder, ImmutableDictionary<string, ByteSource> newFiles)
    {
        (Source, Folder, NewFiles) = (source, folder, newFiles);
        _graphsByPath = new(() => Graphs.ToDictionary(graph => graph.Path));
        _names = new(() => [.. Graphs.SelectMany(graph => graph.DefinedNames)]);
    }

    /// <summary>The model's bytes.</summary>
    public ByteSource Source { get; private set; }

    /// <summary>The folder that external data are relative to; null for a model in memory.</summary>
    public string? Folder { get; }

    /// <summary>Data files that patches bring along, by the name they get beside the model; they are written when it is saved.</summary>
    public ImmutableDictionary<string, ByteSource> NewFiles { get; }

    /// <summary>The file that holds exactly these bytes; null for a model in memory or with a patch that is not saved.</summary>
    public string? Path { get; private init; }

    /// <summary>The IR version.</summary>
    public long IrVersion { get; internal set; }

    /// <summary>Name and version of the program that wrote the model.</summary>
    public string Producer { get; internal set; } = "";

    /// <summary>The operator sets that the main graph and the bodies in it use; a function has its own.</summary>
    public ImmutableArray<OpsetImport> Opsets { get; internal set; } = [];

    /// <summary>Metadata entries in file order.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Metadata
    {
        get => Pending is { } record ? _metadata.Add(KeyValuePair.Create(record.Key, record.Value())) : _metadata;
        internal set => _metadata = value;
    }

    /// <summary>The keys of the metadata; unlike the values they never wait for a digest.</summary>
    public IEnumerable<string> MetadataKeys => _metadata.Select(entry => entry.Key).Concat(Pending is { } record ? [record.Key] : []);

    /// <summary>The main graph.</summary>
    public Graph Graph { get; internal set; } = null!;

    /// <summary>Bodies of the model's own functions.</summary>
    public ImmutableArray<Graph> Functions { get; internal set; } = [];

    /// <summary>Every graph: the main one, the bodies of control flow nodes, and functions; each with its path.</summary>
    public ImmutableArray<Graph> Graphs { get; internal set; } = [];

    /// <summary>The metadata but for the record of a patch just applied.</summary>
    internal ImmutableArray<KeyValuePair<string, string>> StoredMetadata => _metadata;

    /// <summary>The record of a patch just applied.</summary>
    internal PendingRecord? Pending { get; private set; }

    internal WireField? IrVersionField { get; set; }

    /// <summary>The tensors that lie outside the model file.</summary>
    internal ImmutableArray<Tensor> ExternalTensors { get; set; } = [];

    /// <summary>Reads a model from a file. Its external data are checked to lie within the folder and within their files.</summary>
    /// <exception cref="OnnxException">Not a readable ONNX model, or its external data are missing, out of bounds or outside the folder.</exception>
    public static Model Open(string path)
    {
        var source = ByteSource.Open(path);
        return Read(source, System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)), path);
    }

    /// <summary>Reads a model from memory.</summary>
    /// <param name="bytes">The ModelProto; must not change afterwards.</param>
    /// <param name="folder">The folder that external data are relative to, if there are any.</param>
    /// <param name="name">What messages call the model.</param>
    public static Model Parse(ReadOnlyMemory<byte> bytes, string? folder = null, string name = "model in memory") =>
        Read(ByteSource.From(bytes, name), folder);

    internal static Model Read(
        ByteSource source, string? folder, string? path = null, NamePool? names = null, ImmutableDictionary<string, ByteSource>? newFiles = null)
    {
        var model = new Model(source, folder, newFiles ?? ImmutableDictionary<string, ByteSource>.Empty) { Path = path, _pool = names ?? new NamePool() };
        new ModelReader(model, model._pool).Read();
        ExternalData.Check(model);
        return model;
    }

    /// <summary>The graph of that path.</summary>
    /// <exception cref="OnnxException">There is none; the message lists those there are.</exception>
    public Graph GraphAt(string path) =>
        _graphsByPath.Value.GetValueOrDefault(path)
        ?? throw new OnnxException($"{Source.Name}: there is no graph '{path}'. There are: {string.Join(", ", Graphs.Take(20).Select(graph => $"'{graph.Path}'"))}.");

    /// <summary>The version of an operator domain, or null where the model does not import it.</summary>
    public long? Opset(string domain = "") =>
        OpsetImport.VersionOf(Opsets, domain);

    /// <summary>The metadata entry of that key, or null.</summary>
    public string? MetadataOf(string key) => Metadata.FirstOrDefault(entry => entry.Key == key).Value;

    /// <summary>The model with a patch in it. This one is unchanged.</summary>
    /// <exception cref="OnnxException">The patch speaks of a value, node or graph that is not here, or its names collide.</exception>
    public Model Apply(GraphPatch patch)
    {
        var (source, record, data) = PatchWriter.Apply(this, patch);
        var model = Derive(source, data is null ? NewFiles : NewFiles.SetItem(data.Name, data.Content()));
        // The record is the model's last field, and needs no reading.
        if (record is not null)
            (model.Pending, model.Source) = (record, record.Behind(source));
        return model;
    }

    /// <summary>A model of other bytes that shares most names with this one. The pool is no one's but its last taker's.</summary>
    internal Model Derive(ByteSource source, ImmutableDictionary<string, ByteSource> newFiles) =>
        Read(source, Folder, names: Interlocked.Exchange(ref _pool, null), newFiles: newFiles);

    /// <summary>Computes what the bytes still lack: the digest of the model before the last patch, which else waits for its first reader.</summary>
    internal void Complete(CancellationToken cancel) => Pending?.Value(cancel);

    /// <summary>All tensors: initializers, and those in attributes, in sparse tensors and in subgraphs.</summary>
    public IEnumerable<Tensor> Tensors =>
        Graphs.SelectMany(graph => graph.Initializers.Concat(graph.OtherTensors)
            .Concat(graph.Nodes.SelectMany(node => node.Attributes).SelectMany(attribute => attribute.Tensors)));

    /// <summary>The data files that tensors lie in, by the name that the model gives them; new ones too.</summary>
    /// <exception cref="OnnxException">A file cannot be opened.</exception>
    public IReadOnlyDictionary<string, ByteSource> DataFiles() =>
        Tensors.Where(tensor => tensor.External is not null).DistinctBy(tensor => tensor.External!.Location).ToDictionary(tensor => tensor.External!.Location, ExternalFile);

    /// <summary>Whether a data file is read by a tensor, or needed for undoing a patch.</summary>
    internal bool Needs(string file) => ExternalTensors.Any(tensor => tensor.External!.Location == file) || PatchRecord.FilesOf(this).Contains(file);

    /// <summary>The small message of a field.</summary>
    internal T Message<T>(MessageParser<T> parser, WireField field) where T : IMessage<T>
    {
        if (field.Length > MaxMessageBytes)
            throw new OnnxException($"{Source.Name}: a description at byte {field.Start} has {field.Length} bytes; at most {MaxMessageBytes} were expected.");
        try
        {
            return parser.ParseFrom(Source.ToArray(field.Body, field.Length));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new OnnxException($"{Source.Name}: not a readable ONNX model: a message that does not parse ({e.Message}), at byte {field.Start} of {Source.Length}.", e);
        }
    }

    /// <summary>Whether any graph has a value of that name.</summary>
    internal bool Knows(string name) => Graphs.Length == 1 ? Graph.Defines(name) : _names.Value.Contains(name);

    internal ByteSource ExternalFile(Tensor tensor) => DataFile(tensor.External!.Location, $"tensor '{tensor.Name}'");

    /// <summary>A data file, new or beside the model.</summary>
    internal ByteSource DataFile(string location, string reader) =>
        NewFiles.TryGetValue(location, out var file) ? file : _externalFiles.GetOrAdd(location, _ => ByteSource.Open(ExternalData.Resolve(this, location, reader)));
}
