using System.Runtime.InteropServices;

namespace OnnxSteer.Ort.Native;

/// <summary>
/// Owns one native object of any kind, and what that object reads as long as it lives, such as pinned
/// memory. Both go when the last user is done, so that a Dispose during a run takes nothing away from the run.
/// </summary>
internal sealed unsafe class OrtHandle : SafeHandle
{
    private readonly delegate* unmanaged<void*, void> release;
    private readonly IDisposable? keep;

    public OrtHandle(void* pointer, delegate* unmanaged<void*, void> release, IDisposable? keep = null)
        : base(0, ownsHandle: true)
    {
        this.release = release;
        this.keep = keep;
        SetHandle((nint)pointer);
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>The pointer, for as long as the caller holds a lease (or is the only one who knows the handle).</summary>
    public void* Pointer => (void*)handle;

    /// <summary>Keeps the object alive until <see cref="SafeHandle.DangerousRelease"/>.</summary>
    public void AddUse()
    {
        var added = false;
        DangerousAddRef(ref added);
    }

    protected override bool ReleaseHandle()
    {
        release((void*)handle);
        keep?.Dispose();
        return true;
    }
}

/// <summary>A use of a native object that ends with the scope.</summary>
internal readonly unsafe ref struct Lease(OrtHandle handle)
{
    public void* Pointer => handle.Pointer;

    public void Dispose() => handle.DangerousRelease();
}
