namespace OnnxSteer.Ort.Native;

/// <summary>The one place where a native status becomes an exception.</summary>
internal static unsafe class OrtStatus
{
    /// <summary>Throws what a status says, and frees it; null is success.</summary>
    public static void Check(void* status)
    {
        if (status != null)
            throw Take(status);
    }

    /// <summary>The exception that a status stands for; frees the status.</summary>
    public static OrtException Take(void* status)
    {
        var api = OrtLibrary.Api;
        var code = api->GetErrorCode(status);
        var text = Utf8.Read(api->GetErrorMessage(status)).Trim();
        api->ReleaseStatus(status);
        return new OrtException(code, $"ONNX Runtime: {text} ({code})");
    }
}
