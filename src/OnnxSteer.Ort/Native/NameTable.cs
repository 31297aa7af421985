namespace OnnxSteer.Ort.Native;

/// <summary>
/// Names that a session knows, each with the native text that ONNX Runtime made of it: a run looks them up and converts
/// nothing. Gone with the session.
/// </summary>
internal sealed unsafe class NameTable : IDisposable
{
    private readonly Dictionary<string, Entry> entries = [];

    /// <summary>Takes over a text that ONNX Runtime allocated.</summary>
    public string Add(byte* name, bool required)
    {
        var text = Utf8.Read(name);
        if (!entries.TryAdd(text, new((nint)name, required)))
            OrtEnvironment.Free(name);
        return text;
    }

    public bool TryGet(string name, out Entry entry) => entries.TryGetValue(name, out entry);

    public bool Contains(string name) => entries.ContainsKey(name);

    public string List() => entries.Count == 0 ? "none" : string.Join(", ", entries.Keys);

    public void Dispose()
    {
        foreach (var entry in entries.Values)
            OrtEnvironment.Free((byte*)entry.Native);
    }

    /// <param name="Native">The text.</param>
    /// <param name="Required">Whether a run cannot do without it.</param>
    public readonly record struct Entry(nint Native, bool Required);
}
