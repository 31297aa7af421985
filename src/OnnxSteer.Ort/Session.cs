using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>A loaded model, ready to run.</summary>
/// <remarks>Any number of threads may run one session at once. Outputs outlive the session.</remarks>
public sealed unsafe partial class Session : OrtObject
{
    private const string ExternalDataFolder = "session.model_external_initializers_file_folder_path";

    private readonly NameTable feeds;
    private readonly NameTable fetches;
    private ModelMetadata? metadata;

    private Session(void* created, NameTable feeds, NameTable fetches, IDisposable? files = null)
        : base(new OrtHandle(created, OrtLibrary.Api->ReleaseSession, new Belongings(feeds, fetches, files)))
    {
        var api = OrtLibrary.Api;
        (this.feeds, this.fetches) = (feeds, fetches);
        try
        {
            using var use = Use();
            Inputs = Read(use.Pointer, feeds, api->SessionGetInputCount,
                api->SessionGetInputName, api->SessionGetInputTypeInfo, required: true);
            Outputs = Read(use.Pointer, fetches, api->SessionGetOutputCount,
                api->SessionGetOutputName, api->SessionGetOutputTypeInfo);
            OverridableInitializers = Read(use.Pointer, feeds, api->SessionGetOverridableInitializerCount,
                api->SessionGetOverridableInitializerName, api->SessionGetOverridableInitializerTypeInfo);
            outputNames = [.. Outputs.Select(output => output.Name)];
            passedThrough = outputNames.Any(feeds.Contains);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What a run must be given.</summary>
    public IReadOnlyList<ValueInfo> Inputs { get; }

    /// <summary>What a run can give.</summary>
    public IReadOnlyList<ValueInfo> Outputs { get; }

    /// <summary>What a run may be given, as inputs or by an <see cref="Adapter"/>; the model has defaults.</summary>
    public IReadOnlyList<ValueInfo> OverridableInitializers { get; }

    /// <summary>What the model says about itself.</summary>
    public ModelMetadata Metadata
    {
        get
        {
            using var use = Use();
            return metadata ??= ModelMetadata.Of(use.Pointer);
        }
    }

    /// <summary>Loads a model file; external data is found beside it.</summary>
    /// <param name="path">The <c>.onnx</c> file.</param>
    /// <param name="options">How to open it; null for ONNX Runtime's defaults.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="OrtException">The file is no model that ONNX Runtime can run.</exception>
    /// <exception cref="OrtLibraryException">ONNX Runtime's library cannot be used.</exception>
    public static Session Open(string path, SessionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (!File.Exists(path))
            throw new FileNotFoundException($"There is no model file '{path}'.", path);
        void* created;
        using var native = NativeString.Path(path);
        using var nativeOptions = (options ?? new()).ToNative();
        OrtStatus.Check(OrtLibrary.Api->CreateSession(OrtEnvironment.Pointer, native, nativeOptions.Pointer, &created));
        return new Session(created, new(), new());
    }

    /// <summary>Loads a model from the bytes of its file, which are not needed afterwards.</summary>
    /// <param name="model">The whole <c>.onnx</c> file.</param>
    /// <param name="options">How to open it; null for ONNX Runtime's defaults.</param>
    /// <param name="externalDataFolder">Where the model's external data is; null if it has none.</param>
    /// <param name="externalFiles">Data files that are in memory instead, by the name that the model gives them.</param>
    /// <exception cref="ArgumentException">There are no bytes.</exception>
    /// <exception cref="OrtException">The bytes are no model that ONNX Runtime can run.</exception>
    /// <exception cref="OrtLibraryException">ONNX Runtime's library cannot be used.</exception>
    public static Session Open(
        ReadOnlyMemory<byte> model, SessionOptions? options = null, string? externalDataFolder = null, IReadOnlyDictionary<string, byte[]>? externalFiles = null)
    {
        if (model.IsEmpty)
            throw new ArgumentException("The model has no bytes.", nameof(model));
        options ??= new();
        if (externalDataFolder is not null)
            options = options with
            {
                ConfigEntries = new Dictionary<string, string>(options.ConfigEntries)
                {
                    [ExternalDataFolder] = externalDataFolder,
                },
            };
        void* created;
        using var pin = model.Pin();
        using var nativeOptions = options.ToNative();
        var files = externalFiles is { Count: > 0 } ? new NativeFiles(externalFiles) : null;
        try
        {
            files?.AddTo(nativeOptions.Pointer);
            OrtStatus.Check(OrtLibrary.Api->CreateSessionFromArray(
                OrtEnvironment.Pointer, pin.Pointer, (nuint)model.Length, nativeOptions.Pointer, &created));
        }
        catch
        {
            files?.Dispose();
            throw;
        }
        return new Session(created, new(), new(), files);
    }

    /// <summary>An input's name as a run wants it.</summary>
    internal NameTable.Entry Feed(string name) => feeds.TryGet(name, out var entry)
        ? entry
        : throw new ArgumentException($"The model has no input '{name}'. {DescribeFeeds()}");

    /// <summary>The native text of an output's name.</summary>
    internal nint Fetch(string name) => fetches.TryGet(name, out var entry)
        ? entry.Native
        : throw new ArgumentException($"The model has no output '{name}'. It has: {fetches.List()}.");

    private ArgumentException Missing(ReadOnlySpan<string> given)
    {
        var missing = new List<string>();
        foreach (var input in Inputs)
            if (!given.Contains(input.Name))
                missing.Add(input.Name);
        return new($"The run lacks an input: {string.Join(", ", missing)}. {DescribeFeeds()}");
    }

    private string DescribeFeeds() => $"It takes: {string.Join(", ", Inputs)}."
        + (OverridableInitializers.Count == 0 ? "" : $" Optional: {string.Join(", ", OverridableInitializers)}.");

    private static ValueInfo[] Read(
        void* session,
        NameTable names,
        delegate* unmanaged<void*, nuint*, void*> getCount,
        delegate* unmanaged<void*, nuint, void*, byte**, void*> getName,
        delegate* unmanaged<void*, nuint, void**, void*> getType,
        bool required = false)
    {
        nuint count;
        OrtStatus.Check(getCount(session, &count));
        var infos = new ValueInfo[count];
        for (nuint i = 0; i < count; i++)
        {
            byte* name;
            void* type;
            OrtStatus.Check(getName(session, i, OrtEnvironment.Allocator, &name));
            var text = names.Add(name, required);
            OrtStatus.Check(getType(session, i, &type));
            infos[i] = new(text, TypeReader.Take(type));
        }
        return infos;
    }

    private sealed class Belongings(NameTable feeds, NameTable fetches, IDisposable? files) : IDisposable
    {
        public void Dispose()
        {
            feeds.Dispose();
            fetches.Dispose();
            files?.Dispose();
        }
    }
}
