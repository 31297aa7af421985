namespace OnnxSteer;

/// <summary>How the activations of one prompt's real tokens become one sample, per channel.</summary>
public enum Pooling
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>Their smallest.</summary>
    Min,

    /// <summary>Their largest.</summary>
    Max,

    /// <summary>That of the last real token.</summary>
    Last,
}
