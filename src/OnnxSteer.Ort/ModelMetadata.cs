using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>What a model says about itself. Texts that the model leaves out are empty.</summary>
public sealed record ModelMetadata
{
    /// <summary>What wrote the model.</summary>
    public string Producer { get; private init; } = "";

    /// <summary>The graph's name.</summary>
    public string GraphName { get; private init; } = "";

    /// <summary>The graph's documentation.</summary>
    public string GraphDescription { get; private init; } = "";

    /// <summary>The model's domain.</summary>
    public string Domain { get; private init; } = "";

    /// <summary>The model's documentation.</summary>
    public string Description { get; private init; } = "";

    /// <summary>The model's version; <see cref="long.MaxValue"/> is ONNX Runtime's word for a missing one.</summary>
    public long Version { get; private init; }

    /// <summary>The model's <c>metadata_props</c>.</summary>
    public IReadOnlyDictionary<string, string> Custom { get; private init; } = new Dictionary<string, string>();

    internal static unsafe ModelMetadata Of(void* session)
    {
        var api = OrtLibrary.Api;
        void* metadata;
        OrtStatus.Check(api->SessionGetModelMetadata(session, &metadata));
        try
        {
            long version;
            OrtStatus.Check(api->ModelMetadataGetVersion(metadata, &version));
            return new()
            {
                Producer = Text(metadata, api->ModelMetadataGetProducerName),
                GraphName = Text(metadata, api->ModelMetadataGetGraphName),
                GraphDescription = Text(metadata, api->ModelMetadataGetGraphDescription),
                Domain = Text(metadata, api->ModelMetadataGetDomain),
                Description = Text(metadata, api->ModelMetadataGetDescription),
                Version = version,
                Custom = CustomMap(metadata),
            };
        }
        finally
        {
            api->ReleaseModelMetadata(metadata);
        }

        static string Text(void* metadata, delegate* unmanaged<void*, void*, byte**, void*> get)
        {
            byte* text;
            OrtStatus.Check(get(metadata, OrtEnvironment.Allocator, &text));
            return Utf8.Take(text);
        }

        static Dictionary<string, string> CustomMap(void* metadata)
        {
            var api = OrtLibrary.Api;
            var allocator = OrtEnvironment.Allocator;
            byte** keys;
            long count;
            OrtStatus.Check(api->ModelMetadataGetCustomMetadataMapKeys(metadata, allocator, &keys, &count));
            var map = new Dictionary<string, string>();
            for (var i = 0; i < count; i++)
            {
                byte* value;
                OrtStatus.Check(api->ModelMetadataLookupCustomMetadataMap(metadata, allocator, keys[i], &value));
                map[Utf8.Take(keys[i])] = Utf8.Take(value);
            }
            if (count > 0)
                OrtEnvironment.Free(keys);
            return map;
        }
    }
}
