namespace OnnxSteer.Ort.Native;

/// <summary>
/// Names that a session knows, each with the native text that ONNX Runtime made of it: a run looks them up and converts
/// nothing. Gone with the session.
/// </summary>
internal sealed unsafe class NameTable : IDisposable
{
    private readonly Dictionary<string, nint> natives = [];

    /// <summary>Takes over a text that ONNX Runtime allocated.</summary>
    public string Add(byte* name)
    {
        var text = Utf8.Read(name);
        if (!natives.TryAdd(text, (nint)name))
            OrtEnvironment.Free(name);
        return text;
    }

    public bool TryGet(string name, out nint native) => natives.TryGetValue(name, out native);

    public bool Contains(string name) => natives.ContainsKey(name);

    public string List() => natives.Count == 0 ? "none" : string.Join(", ", natives.Keys);

    public void Dispose()
    {
        foreach (var native in natives.Values)
            OrtEnvironment.Free((byte*)native);
    }
}
