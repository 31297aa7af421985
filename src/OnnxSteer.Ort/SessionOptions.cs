using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>How far a graph is rewritten when it is loaded (<c>GraphOptimizationLevel</c>).</summary>
public enum OptimizationLevel
{
    /// <summary>Not at all.</summary>
    Disabled = 0,

    /// <summary>What holds for every execution provider: constant folding, redundant nodes.</summary>
    Basic = 1,

    /// <summary>Fusions as well.</summary>
    Extended = 2,

    /// <summary>Memory layouts as well; the default.</summary>
    All = 99,
}

/// <summary>Whether independent nodes run side by side.</summary>
public enum ExecutionMode
{
    /// <summary>One node after the other; the default.</summary>
    Sequential = 0,

    /// <summary>Independent branches at once, on <see cref="SessionOptions.InterOpThreads"/> threads.</summary>
    Parallel = 1,
}

/// <summary>How a session is opened. A value: change it with <c>with</c>, share it freely.</summary>
public sealed record SessionOptions
{
    /// <summary>Threads inside one node; 0 lets ONNX Runtime choose (one a physical core).</summary>
    public int IntraOpThreads { get; init; }

    /// <summary>Threads across nodes, in <see cref="ExecutionMode.Parallel"/>; 0 lets ONNX Runtime choose.</summary>
    public int InterOpThreads { get; init; }

    /// <summary>How far the graph is rewritten.</summary>
    public OptimizationLevel OptimizationLevel { get; init; } = OptimizationLevel.All;

    /// <summary>Whether independent nodes run side by side.</summary>
    public ExecutionMode ExecutionMode { get; init; }

    /// <summary>Whether allocations of earlier runs with the same shapes are planned ahead.</summary>
    public bool MemoryPattern { get; init; } = true;

    /// <summary>Whether the CPU's memory is kept for the next run instead of given back.</summary>
    public bool CpuArena { get; init; } = true;

    /// <summary>ONNX Runtime's configuration entries, such as <c>session.disable_cpu_ep_fallback</c>.</summary>
    public IReadOnlyDictionary<string, string> ConfigEntries { get; init; } = new Dictionary<string, string>();

    /// <summary>Execution providers, the preferred first. The CPU takes what they leave.</summary>
    public IReadOnlyList<ExecutionProvider> ExecutionProviders { get; init; } = [];

    /// <summary>A file to write the optimized model to, or null.</summary>
    public string? OptimizedModelPath { get; init; }

    /// <summary>How much this session logs, or null for <see cref="OrtEnvironment.LogSeverity"/>.</summary>
    public LogSeverity? LogSeverity { get; init; }

    /// <summary>A name for this session in log lines, or null.</summary>
    public string? LogId { get; init; }

    internal unsafe OrtHandle ToNative()
    {
        var api = OrtLibrary.Api;
        void* created;
        _ = OrtEnvironment.Pointer;
        OrtStatus.Check(api->CreateSessionOptions(&created));
        var handle = new OrtHandle(created, api->ReleaseSessionOptions);
        try
        {
            Fill(api, created);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    private unsafe void Fill(OrtApi* api, void* options)
    {
        // DirectML refuses sessions that plan memory or run nodes side by side.
        var directML = ExecutionProviders.Any(provider => provider.IsDirectML);
        OrtStatus.Check(api->SetIntraOpNumThreads(options, IntraOpThreads));
        OrtStatus.Check(api->SetInterOpNumThreads(options, InterOpThreads));
        OrtStatus.Check(api->SetSessionGraphOptimizationLevel(options, OptimizationLevel));
        OrtStatus.Check(api->SetSessionExecutionMode(options, directML ? ExecutionMode.Sequential : ExecutionMode));
        if (!MemoryPattern || directML)
            OrtStatus.Check(api->DisableMemPattern(options));
        if (!CpuArena)
            OrtStatus.Check(api->DisableCpuMemArena(options));
        if (LogSeverity is { } severity)
            OrtStatus.Check(api->SetSessionLogSeverityLevel(options, severity));
        if (LogId is not null)
        {
            using var id = NativeString.Utf8(LogId);
            OrtStatus.Check(api->SetSessionLogId(options, id));
        }
        if (OptimizedModelPath is not null)
        {
            using var path = NativeString.Path(OptimizedModelPath);
            OrtStatus.Check(api->SetOptimizedModelFilePath(options, path));
        }
        foreach (var (key, value) in ConfigEntries)
        {
            using NativeString nativeKey = NativeString.Utf8(key), nativeValue = NativeString.Utf8(value);
            OrtStatus.Check(api->AddSessionConfigEntry(options, nativeKey, nativeValue));
        }
        foreach (var provider in ExecutionProviders)
            provider.AppendTo(options);
    }
}
