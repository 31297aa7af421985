namespace OnnxSteer.Ort;

/// <summary>Why ONNX Runtime's library cannot be used.</summary>
public enum OrtLibraryProblem
{
    /// <summary>There is no such file.</summary>
    Missing,

    /// <summary>The file exists, but the system cannot load it.</summary>
    NotLoadable,

    /// <summary>The file is a library, but not ONNX Runtime.</summary>
    MissingSymbol,

    /// <summary>The library is older than this binding needs.</summary>
    TooOld,
}

/// <summary>ONNX Runtime's library cannot be used. The message names the path and the remedy.</summary>
/// <param name="problem">What is wrong.</param>
/// <param name="path">The file, or null where none was found.</param>
/// <param name="message">What was wrong, and what to do.</param>
/// <param name="innerException">The system's own error, if any.</param>
public sealed class OrtLibraryException(OrtLibraryProblem problem, string? path, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>What is wrong.</summary>
    public OrtLibraryProblem Problem { get; } = problem;

    /// <summary>The file, or null where none was found.</summary>
    public string? Path { get; } = path;
}
