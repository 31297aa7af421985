using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>What computes: the CPU, or a device that the loaded library was built for.</summary>
/// <param name="Name">ONNX Runtime's short name: "CPU", "CUDA", "DML", "CoreML", "QNN", ...; letter case is free.</param>
/// <param name="Options">The provider's own settings, such as <c>device_id</c>.</param>
public sealed record ExecutionProvider(string Name, IReadOnlyDictionary<string, string>? Options = null)
{
    private const string Suffix = "ExecutionProvider";

    /// <summary>The CPU. It is always the last resort, whether named or not.</summary>
    public static ExecutionProvider Cpu { get; } = new("CPU");

    /// <summary>An NVIDIA device.</summary>
    /// <param name="device">Its number, from 0.</param>
    public static ExecutionProvider Cuda(int device = 0) => new("CUDA", DeviceId(device));

    /// <summary>A Windows graphics device, through DirectML.</summary>
    /// <param name="device">Its number, from 0.</param>
    public static ExecutionProvider DirectML(int device = 0) => new("DML", DeviceId(device));

    internal bool IsDirectML => Is("DML") || Is("DirectML");

    /// <summary>Whether a provider that the library names is there; the code of some is in a file beside the library.</summary>
    internal static bool IsInstalled(string provider)
    {
        if (provider is not ("CUDAExecutionProvider" or "TensorrtExecutionProvider"))
            return true;
        var file = $"onnxruntime_providers_{Short(provider).ToLowerInvariant()}";
        file = OperatingSystem.IsWindows() ? $"{file}.dll" : $"lib{file}.so";
        return File.Exists(Path.Combine(Path.GetDirectoryName(OrtLibrary.Path) ?? "", file));
    }

    internal unsafe void AppendTo(void* options)
    {
        if (Is("CPU"))
            return;
        var full = (IsDirectML ? "Dml" : Name) + Suffix;
        if (!OrtEnvironment.AvailableProviders.Contains(full, StringComparer.OrdinalIgnoreCase))
            throw new OrtException(OrtErrorCode.NotFound, $"The execution provider '{Name}' is not in {Library()} {Remedy()}");
        try
        {
            using var pairs = new NativeOptions(Options ?? new Dictionary<string, string>());
            if (Is("CUDA"))
                AppendCuda(options, pairs);
            else
                Append(options, pairs);
        }
        catch (OrtException e)
        {
            throw new OrtException(e.Code,
                $"The execution provider '{Name}' could not be set up: {e.Message} "
                + $"It was asked of {Library()}", e);
        }
    }

    private static unsafe void AppendCuda(void* options, NativeOptions pairs)
    {
        var api = OrtLibrary.Api;
        void* cuda;
        OrtStatus.Check(api->CreateCUDAProviderOptions(&cuda));
        try
        {
            OrtStatus.Check(api->UpdateCUDAProviderOptions(cuda, pairs.Keys, pairs.Values, (nuint)pairs.Count));
            OrtStatus.Check(api->SessionOptionsAppendExecutionProvider_CUDA_V2(options, cuda));
        }
        finally
        {
            api->ReleaseCUDAProviderOptions(cuda);
        }
    }

    private unsafe void Append(void* options, NativeOptions pairs)
    {
        using var name = NativeString.Utf8(IsDirectML ? "DML" : Name);
        OrtStatus.Check(OrtLibrary.Api->SessionOptionsAppendExecutionProvider(
            options, name, pairs.Keys, pairs.Values, (nuint)pairs.Count));
    }

    private bool Is(string name) => string.Equals(Name, name, StringComparison.OrdinalIgnoreCase);

    private static string Library() => $"ONNX Runtime {OrtLibrary.Version} ({OrtLibrary.Path}), which has: "
        + $"{string.Join(", ", OrtEnvironment.AvailableProviders.Select(Short))}.";

    private string Remedy() => (Is("CUDA") ? "Build with -p:OrtFlavor=Cuda" : IsDirectML ? "Build with -p:OrtFlavor=DirectML"
        : "Build with -p:OrtFlavor=System and a library that has it")
        + $", or set {OrtLibrary.EnvironmentVariable} to such a library.";

    private static string Short(string provider) =>
        provider.EndsWith(Suffix, StringComparison.Ordinal) ? provider[..^Suffix.Length] : provider;

    private static Dictionary<string, string> DeviceId(int device) => new() { ["device_id"] = $"{device}" };
}
