namespace OnnxSteer.Onnx;

/// <summary>
/// What was wrong with a model, a patch, a map or a folder, in words for people: where, the value seen, the value
/// expected, what to do.
/// </summary>
public sealed class OnnxException : Exception
{
    /// <summary>An error with a message for people.</summary>
    public OnnxException(string message) : base(message)
    {
    }

    /// <summary>An error with a message for people and its cause.</summary>
    public OnnxException(string message, Exception cause) : base(message, cause)
    {
    }
}
