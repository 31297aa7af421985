using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>Inputs and outputs that stay bound to a session from run to run, on any device.</summary>
/// <remarks>Keeps its session and all bound values alive. One thread at a time may use a binding.</remarks>
public sealed unsafe class IoBinding : OrtObject
{
    private const string Input = "input ", Output = "output ", SessionKey = "session";

    private readonly Session session;
    private readonly HeldUses held;
    private readonly List<string> outputNames = [];

    internal IoBinding(Session session)
        : this(session, new HeldUses())
    {
    }

    private IoBinding(Session session, HeldUses held)
        : base(Create(session, held)) => (this.session, this.held) = (session, held);

    /// <summary>Binds an input or an overridable initializer, in place of what was bound to it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value in all runs to come.</param>
    /// <exception cref="ArgumentException">The model has no such input.</exception>
    public void BindInput(string name, OrtValue value)
    {
        using var use = Use();
        Bind(session.Feed(name).Native, Input + name, value, use.Pointer, OrtLibrary.Api->BindInput);
    }

    /// <summary>Binds an output to a value that every run writes.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">A tensor of the output's type and shape.</param>
    /// <exception cref="ArgumentException">The model has no such output.</exception>
    public void BindOutput(string name, OrtValue value)
    {
        using var use = Use();
        Bind(session.Fetch(name), Output + name, value, use.Pointer, OrtLibrary.Api->BindOutput);
        AddOutput(name);
    }

    /// <summary>Lets every run allocate an output, in this process's memory or on a device.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="device">ONNX Runtime's name of the memory: "Cpu", "Cuda", "DML", ...</param>
    /// <param name="deviceId">The device's number, from 0.</param>
    /// <exception cref="ArgumentException">The model has no such output.</exception>
    /// <exception cref="OrtException">There is no such memory.</exception>
    public void BindOutput(string name, string device = "Cpu", int deviceId = 0)
    {
        var api = OrtLibrary.Api;
        using var use = Use();
        var native = session.Fetch(name);
        void* memory;
        using var nativeDevice = NativeString.Utf8(device);
        OrtStatus.Check(api->CreateMemoryInfo(
            nativeDevice, OrtEnvironment.DeviceAllocator, deviceId, OrtEnvironment.DefaultMemory, &memory));
        var status = api->BindOutputToDevice(use.Pointer, (byte*)native, memory);
        api->ReleaseMemoryInfo(memory);
        OrtStatus.Check(status);
        held.Release(Output + name);
        AddOutput(name);
    }

    /// <summary>Unbinds all inputs.</summary>
    public void ClearInputs()
    {
        using var use = Use();
        OrtLibrary.Api->ClearBoundInputs(use.Pointer);
        foreach (var input in session.Inputs.Concat(session.OverridableInitializers))
            held.Release(Input + input.Name);
    }

    /// <summary>Unbinds all outputs.</summary>
    public void ClearOutputs()
    {
        using var use = Use();
        OrtLibrary.Api->ClearBoundOutputs(use.Pointer);
        foreach (var name in outputNames)
            held.Release(Output + name);
        outputNames.Clear();
    }

    /// <summary>Waits until the bound inputs have reached their devices.</summary>
    public void SynchronizeInputs()
    {
        using var use = Use();
        OrtStatus.Check(OrtLibrary.Api->SynchronizeBoundInputs(use.Pointer));
    }

    /// <summary>Waits until the devices have written the bound outputs.</summary>
    public void SynchronizeOutputs()
    {
        using var use = Use();
        OrtStatus.Check(OrtLibrary.Api->SynchronizeBoundOutputs(use.Pointer));
    }

    /// <summary>Runs the session on what is bound.</summary>
    /// <param name="options">How this run differs from others, or null; without adapters.</param>
    /// <param name="cancel">Ends the run before the next node.</param>
    /// <exception cref="ArgumentException">The options name adapters.</exception>
    /// <exception cref="OrtException">An input is not bound or does not fit, or a node failed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public void Run(RunOptions? options = null, CancellationToken cancel = default)
    {
        // ONNX Runtime would ignore them without a word.
        if (options is { Adapters.Count: > 0 })
            throw new ArgumentException("A run on a binding ignores adapters. Bind the overridable initializers themselves with "
                + "BindInput, or run the session without a binding.", nameof(options));
        using var use = Use();
        using var sessionUse = session.Use();
        using var run = new NativeRun(options, cancel);
        var status = OrtLibrary.Api->RunWithBinding(sessionUse.Pointer, run.Pointer, use.Pointer);
        if (status != null)
            throw NativeRun.Error(status, cancel);
    }

    /// <summary>The outputs of the last run, in the order in which they were bound; to be disposed.</summary>
    public OrtValues GetOutputs()
    {
        using var use = Use();
        void** natives;
        nuint count;
        OrtStatus.Check(OrtLibrary.Api->GetBoundOutputValues(use.Pointer, OrtEnvironment.Allocator, &natives, &count));
        var values = new OrtValue[count];
        for (nuint i = 0; i < count; i++)
            values[i] = new OrtValue(natives[i], MemoryOf(outputNames[(int)i]));
        if (natives != null)
            OrtEnvironment.Free(natives);
        return new OrtValues([.. outputNames], values);
    }

    private static OrtHandle Create(Session session, HeldUses held)
    {
        void* created;
        held.Hold(SessionKey, session.AddUse());
        try
        {
            OrtStatus.Check(OrtLibrary.Api->CreateIoBinding(held.Get(SessionKey)!.Pointer, &created));
            return new OrtHandle(created, OrtLibrary.Api->ReleaseIoBinding, held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private void Bind(nint name, string key, OrtValue value, void* binding, delegate* unmanaged<void*, byte*, void*, void*> bind)
    {
        ArgumentNullException.ThrowIfNull(value);
        using (var use = value.Use())
            OrtStatus.Check(bind(binding, (byte*)name, use.Pointer));
        held.Hold(key, value.AddUse());
    }

    private void AddOutput(string name)
    {
        if (!outputNames.Contains(name))
            outputNames.Add(name);
    }

    /// <summary>An output that was bound to the caller's value, or is an input, reads that one's memory.</summary>
    private HeldUses? MemoryOf(string output)
    {
        var source = held.Get(Output + output) ?? held.Get(Input + output);
        if (source is null)
            return null;
        var uses = new HeldUses();
        source.AddUse();
        uses.Hold(output, source);
        return uses;
    }
}
