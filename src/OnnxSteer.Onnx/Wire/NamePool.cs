namespace OnnxSteer.Onnx.Wire;

/// <summary>The names of a model, each held once: a graph repeats every name several times, and a patched model those of the one before.</summary>
internal sealed class NamePool
{
    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _names =
        new HashSet<string>(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    public string Of(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return "";
        if (_names.TryGetValue(text, out var known))
            return known;
        var name = new string(text);
        _names.Set.Add(name);
        return name;
    }
}
