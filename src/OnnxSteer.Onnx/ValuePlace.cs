namespace OnnxSteer.Onnx;

/// <summary>A range of an axis.</summary>
/// <param name="Start">First index.</param>
/// <param name="End">Index behind the last.</param>
public readonly record struct AxisRange(int Start, int End)
{
    /// <summary>How many indices.</summary>
    public int Length => End - Start;

    /// <summary>Whether the two share an index.</summary>
    public bool Overlaps(AxisRange other) => Start < other.End && other.Start < End;

    /// <inheritdoc/>
    public override string ToString() => $"{Start}:{End}";
}

/// <summary>Where a value lies in a file: the graph it is made in, and its name there.</summary>
/// <param name="Graph">Path of the graph.</param>
/// <param name="Value">Name of the value.</param>
/// <param name="Range">Which part of the last axis; null for all of it.</param>
public sealed record ValuePlace(string Graph, string Value, AxisRange? Range = null)
{
    /// <summary>Whether the two share an element.</summary>
    public bool Overlaps(ValuePlace other) =>
        Graph == other.Graph && Value == other.Value && (Range is not { } range || other.Range is not { } second || range.Overlaps(second));

    /// <inheritdoc/>
    public override string ToString() => $"{Graph}: {Value}{(Range is { } range ? $"[..., {range}]" : "")}";
}
