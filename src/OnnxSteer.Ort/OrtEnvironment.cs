using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>How much ONNX Runtime writes to the standard error stream.</summary>
public enum LogSeverity
{
    /// <summary>Everything.</summary>
    Verbose = 0,

    /// <summary>Informational messages and above.</summary>
    Info = 1,

    /// <summary>Warnings and above.</summary>
    Warning = 2,

    /// <summary>Errors and above.</summary>
    Error = 3,

    /// <summary>Only what ends the process; the default.</summary>
    Fatal = 4,
}

/// <summary>The environment that all sessions of the process share. It comes into being with the first of them.</summary>
public static unsafe class OrtEnvironment
{
    private static readonly Lock Gate = new();
    private static LogSeverity severity = LogSeverity.Fatal;
    private static volatile nint environment;
    private static nint allocator;
    private static nint cpuMemory;

    /// <summary>How much is logged where session and run options say nothing else; may change at any time.</summary>
    /// <remarks>
    /// <see cref="LogSeverity.Fatal"/> unless set: every error comes as an exception anyway, and ONNX Runtime warns of each
    /// overridable initializer, which is what a dial is made of.
    /// </remarks>
    public static LogSeverity LogSeverity
    {
        get => severity;
        set
        {
            lock (Gate)
            {
                if (environment != 0)
                    OrtStatus.Check(OrtLibrary.Api->UpdateEnvWithCustomLogLevel((void*)environment, value));
                severity = value;
            }
        }
    }

    /// <summary>The execution providers of the loaded library, in its own words ("CPUExecutionProvider").</summary>
    /// <remarks>Providers whose code should be in a file beside the library count only where that file is.</remarks>
    /// <exception cref="OrtLibraryException">The library cannot be used.</exception>
    public static IReadOnlyList<string> AvailableProviders
    {
        get
        {
            byte** names;
            int count;
            OrtStatus.Check(OrtLibrary.Api->GetAvailableProviders(&names, &count));
            var providers = new List<string>();
            for (var i = 0; i < count; i++)
                if (Utf8.Read(names[i]) is var name && ExecutionProvider.IsInstalled(name))
                    providers.Add(name);
            OrtStatus.Check(OrtLibrary.Api->ReleaseAvailableProviders(names, count));
            return providers;
        }
    }

    /// <summary>The environment; ONNX Runtime wants it to exist before anything else is made.</summary>
    internal static void* Pointer => environment != 0 ? (void*)environment : Create();

    /// <summary>ONNX Runtime's own allocator for what it hands to callers; never released.</summary>
    internal static void* Allocator
    {
        get
        {
            if (environment == 0)
                Create();
            return (void*)allocator;
        }
    }

    /// <summary>Says that a pointer is ordinary memory of this process.</summary>
    internal static void* CpuMemory
    {
        get
        {
            if (environment == 0)
                Create();
            return (void*)cpuMemory;
        }
    }

    internal static void Free(void* memory) => OrtStatus.Check(OrtLibrary.Api->AllocatorFree(Allocator, memory));

    private static void* Create()
    {
        lock (Gate)
        {
            if (environment != 0)
                return (void*)environment;
            var api = OrtLibrary.Api;
            void* created, defaults, cpu;
            using var name = NativeString.Utf8("OnnxSteer");
            OrtStatus.Check(api->GetAllocatorWithDefaultOptions(&defaults));
            OrtStatus.Check(api->CreateCpuMemoryInfo(DeviceAllocator, DefaultMemory, &cpu));
            OrtStatus.Check(api->CreateEnv(severity, name, &created));
            OrtStatus.Check(api->DisableTelemetryEvents(created));
            allocator = (nint)defaults;
            cpuMemory = (nint)cpu;
            // Never released: values and sessions may outlive any owner that could be given to it, up to the end of the process.
            environment = (nint)created;
            return created;
        }
    }

    internal const int DeviceAllocator = 0;
    internal const int DefaultMemory = 0;
}
