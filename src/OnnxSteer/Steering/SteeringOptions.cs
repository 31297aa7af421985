namespace OnnxSteer;

/// <summary>How a map is written into a graph.</summary>
public enum Mode
{
    /// <summary>Constant nodes of a fixed strength.</summary>
    Baked,

    /// <summary>No nodes: a fixed strength goes into the weights that make the value.</summary>
    Folded,

    /// <summary>The strength is an optional graph input.</summary>
    Live,

    /// <summary>The parameters are optional graph inputs that do nothing, until an adapter file gives them.</summary>
    Pack,
}

/// <summary>Which tokens are steered.</summary>
public enum Positions
{
    /// <summary>Every token.</summary>
    All,

    /// <summary>Calls of more than one token.</summary>
    Prompt,

    /// <summary>Calls of one token.</summary>
    Generated,

    /// <summary>The last real token of each row in each call.</summary>
    Last,
}

/// <summary>How a map is written into a model.</summary>
public sealed record SteeringOptions
{
    /// <summary>The mode.</summary>
    public Mode Mode { get; init; }

    /// <summary>λ in <c>y = z + λ (T(z) − z)</c>; of the live mode the default.</summary>
    public float Strength { get; init; } = 1;

    /// <summary>Which tokens.</summary>
    public Positions Positions { get; init; }

    /// <summary>Whether the first real token of each sequence, where models without a token for the beginning hold massive activations, is left alone.</summary>
    public bool SkipFirst { get; init; }

    internal bool IsEveryToken => Positions == Positions.All && !SkipFirst;

    /// <summary>A condition for steering; null for none.</summary>
    public Gate? Gate { get; init; }

    /// <summary>The dial's name behind <c>onnxsteer.strength</c> where a graph has several; null for the map's own label.</summary>
    public string? Label { get; init; }

    /// <summary>Take a map that was fitted on another model.</summary>
    public bool Force { get; init; }

    /// <summary>Take a map, or a strength, that changes nothing.</summary>
    public bool AllowIdentity { get; init; }
}
