using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>The native library of ONNX Runtime that this process uses; loaded on first use.</summary>
/// <remarks>
/// The environment variable <c>ONNXSTEER_ORT_LIBRARY</c> names the file; else the path that the build set does
/// (<c>OrtFlavor=System</c>); else it is looked for beside the program, and last where the system looks for libraries.
/// </remarks>
public static unsafe class OrtLibrary
{
    /// <summary>The environment variable that names the file to load.</summary>
    public const string EnvironmentVariable = "ONNXSTEER_ORT_LIBRARY";

    private static readonly Lazy<LoadedLibrary> Loaded = new(LoadedLibrary.Load);
    private static OrtApi* api;

    /// <summary>The full path of the loaded library.</summary>
    /// <exception cref="OrtLibraryException">There is no library that can be used.</exception>
    public static string Path => Loaded.Value.Path;

    /// <summary>The version of the loaded library, such as "1.30.0".</summary>
    /// <exception cref="OrtLibraryException">There is no library that can be used.</exception>
    public static string Version => Loaded.Value.Version;

    internal static OrtApi* Api => api != null ? api : api = Loaded.Value.Api;
}
