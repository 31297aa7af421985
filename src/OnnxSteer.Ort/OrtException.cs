namespace OnnxSteer.Ort;

/// <summary>What went wrong, in ONNX Runtime's numbering (<c>OrtErrorCode</c>).</summary>
public enum OrtErrorCode
{
    /// <summary>No error.</summary>
    Ok = 0,

    /// <summary>A failure without a class of its own, a terminated run among them.</summary>
    Fail = 1,

    /// <summary>An argument does not fit: a wrong name, element type or shape.</summary>
    InvalidArgument = 2,

    /// <summary>The model file does not exist.</summary>
    NoSuchFile = 3,

    /// <summary>There is no model.</summary>
    NoModel = 4,

    /// <summary>The execution engine failed.</summary>
    EngineError = 5,

    /// <summary>An exception inside ONNX Runtime, such as memory that ran out.</summary>
    RuntimeException = 6,

    /// <summary>The model is no ONNX file.</summary>
    InvalidProtobuf = 7,

    /// <summary>The session has its model already.</summary>
    ModelLoaded = 8,

    /// <summary>An operator has no kernel for this element type or execution provider.</summary>
    NotImplemented = 9,

    /// <summary>The graph breaks ONNX's rules.</summary>
    InvalidGraph = 10,

    /// <summary>An execution provider failed.</summary>
    EpFail = 11,

    /// <summary>Loading was cancelled.</summary>
    ModelLoadCanceled = 12,

    /// <summary>The model must be compiled for its execution provider first.</summary>
    ModelRequiresCompilation = 13,

    /// <summary>Something that was looked up is not there.</summary>
    NotFound = 14,

    /// <summary>The device was reset.</summary>
    DeviceReset = 15,
}

/// <summary>An error that ONNX Runtime reported.</summary>
/// <param name="code">ONNX Runtime's class of error.</param>
/// <param name="message">ONNX Runtime's text, with what was being done.</param>
/// <param name="innerException">The error behind this one, if any.</param>
public sealed class OrtException(OrtErrorCode code, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>ONNX Runtime's class of error.</summary>
    public OrtErrorCode Code { get; } = code;
}
