using System.Collections;

namespace OnnxSteer.Ort;

/// <summary>The outputs of a run, in the order asked for. Disposing them disposes every value.</summary>
public sealed class OrtValues : IReadOnlyList<OrtValue>, IDisposable
{
    private readonly IReadOnlyList<string> names;
    private readonly OrtValue[] values;

    internal OrtValues(IReadOnlyList<string> names, OrtValue[] values) => (this.names, this.values) = (names, values);

    /// <summary>How many outputs there are.</summary>
    public int Count => values.Length;

    /// <summary>The names of the outputs.</summary>
    public IReadOnlyList<string> Names => names;

    /// <summary>One output, by its place in the order asked for.</summary>
    /// <param name="index">From 0.</param>
    public OrtValue this[int index] => values[index];

    /// <summary>One output, by its name.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <exception cref="KeyNotFoundException">The run did not give this output.</exception>
    public OrtValue this[string name]
    {
        get
        {
            for (var i = 0; i < values.Length; i++)
                if (names[i] == name)
                    return values[i];
            throw new KeyNotFoundException($"The run gave no output '{name}'. It gave: {string.Join(", ", names)}.");
        }
    }

    /// <inheritdoc/>
    public IEnumerator<OrtValue> GetEnumerator() => ((IEnumerable<OrtValue>)values).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Disposes every value.</summary>
    public void Dispose()
    {
        foreach (var value in values)
            value.Dispose();
    }
}
