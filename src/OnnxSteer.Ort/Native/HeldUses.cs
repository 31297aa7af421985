namespace OnnxSteer.Ort.Native;

/// <summary>Uses of native objects that outlast a scope: what a binding or an output still reads.</summary>
internal sealed class HeldUses : IDisposable
{
    private readonly Dictionary<string, OrtHandle> held = [];

    /// <summary>Takes over a use, in place of what was held under this key.</summary>
    public void Hold(string key, OrtHandle used)
    {
        Release(key);
        held[key] = used;
    }

    /// <summary>Ends one use, if there is one.</summary>
    public void Release(string key)
    {
        if (held.Remove(key, out var handle))
            handle.DangerousRelease();
    }

    public OrtHandle? Get(string key) => held.GetValueOrDefault(key);

    public void Dispose()
    {
        foreach (var handle in held.Values)
            handle.DangerousRelease();
        held.Clear();
    }
}
