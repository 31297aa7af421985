using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>How one run differs from the session's settings. A value: share it freely between runs and threads.</summary>
public sealed record RunOptions
{
    /// <summary>Adapters whose parameters replace overridable initializers in this run; of equal ones the last counts.</summary>
    public IReadOnlyList<Adapter> Adapters { get; init; } = [];

    /// <summary>ONNX Runtime's run configuration entries, such as <c>memory.enable_memory_arena_shrinkage</c>.</summary>
    public IReadOnlyDictionary<string, string> ConfigEntries { get; init; } = new Dictionary<string, string>();

    /// <summary>How much this run logs, or null for the session's setting.</summary>
    public LogSeverity? LogSeverity { get; init; }

    /// <summary>A name for this run in log lines, or null.</summary>
    public string? Tag { get; init; }
}

/// <summary>The native form of the options of one run, and its cancellation.</summary>
/// <remarks>
/// Made anew for every run that needs one (half a microsecond): the flag that ends a run is in there, and it must end no other.
/// A run without options and without cancellation needs none.
/// </remarks>
internal unsafe ref struct NativeRun
{
    private readonly OrtHandle? handle;
    private readonly IReadOnlyList<Adapter> adapters = [];
    private int adaptersInUse;
    private CancellationTokenRegistration registration;

    public NativeRun(RunOptions? options, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (options is null && !cancel.CanBeCanceled)
            return;
        void* created;
        var api = OrtLibrary.Api;
        OrtStatus.Check(api->CreateRunOptions(&created));
        handle = new OrtHandle(created, api->ReleaseRunOptions);
        try
        {
            if (options is not null)
            {
                adapters = options.Adapters;
                Fill(api, options);
            }
            registration = cancel.UnsafeRegister(static state => Terminate((OrtHandle)state!), handle);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public readonly void* Pointer => handle is null ? null : handle.Pointer;

    public void Dispose()
    {
        // Waits for a Terminate that is under way, so that it finds the options alive.
        registration.Dispose();
        handle?.Dispose();
        while (adaptersInUse > 0)
            adapters[--adaptersInUse].EndUse();
    }

    /// <summary>What a run's status says; after a cancellation, that it was cancelled.</summary>
    public static Exception Error(void* status, CancellationToken cancel)
    {
        var error = OrtStatus.Take(status);
        return cancel.IsCancellationRequested ? new OperationCanceledException("The run was cancelled.", error, cancel) : error;
    }

    private void Fill(OrtApi* api, RunOptions options)
    {
        if (options.LogSeverity is { } severity)
            OrtStatus.Check(api->RunOptionsSetRunLogSeverityLevel(Pointer, severity));
        if (options.Tag is not null)
        {
            using var tag = NativeString.Utf8(options.Tag);
            OrtStatus.Check(api->RunOptionsSetRunTag(Pointer, tag));
        }
        foreach (var (key, value) in options.ConfigEntries)
        {
            using NativeString nativeKey = NativeString.Utf8(key), nativeValue = NativeString.Utf8(value);
            OrtStatus.Check(api->AddRunConfigEntry(Pointer, nativeKey, nativeValue));
        }
        for (var i = 0; i < adapters.Count; i++)
        {
            var adapter = adapters[i].AddUse();
            adaptersInUse++;
            OrtStatus.Check(api->RunOptionsAddActiveLoraAdapter(Pointer, adapter.Pointer));
        }
    }

    private static void Terminate(OrtHandle options) => OrtStatus.Check(OrtLibrary.Api->RunOptionsSetTerminate(options.Pointer));
}
