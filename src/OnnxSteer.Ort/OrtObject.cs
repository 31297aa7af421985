using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>An object of ONNX Runtime. Its use after <see cref="Dispose"/> throws <see cref="ObjectDisposedException"/>.</summary>
/// <remarks>Disposing twice is fine, and so is disposing during a run: the native object goes when the run is over.</remarks>
public abstract class OrtObject : IDisposable
{
    private readonly OrtHandle handle;

    // The handle's own flag rises only when nobody uses it any more.
    private volatile bool disposed;

    private protected OrtObject(OrtHandle handle) => this.handle = handle;

    /// <summary>Whether <see cref="Dispose"/> was called.</summary>
    public bool IsDisposed => disposed;

    /// <summary>Keeps the native object alive until the end of the scope.</summary>
    internal Lease Use() => new(AddUse());

    /// <summary>Keeps the native object alive until <see cref="EndUse"/>.</summary>
    internal OrtHandle AddUse()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return KeepUse();
    }

    /// <summary>One use more, for a caller who has one already.</summary>
    internal OrtHandle KeepUse()
    {
        handle.AddUse();
        return handle;
    }

    /// <summary>Ends what <see cref="AddUse"/> began.</summary>
    internal void EndUse() => handle.DangerousRelease();

    /// <summary>Whether the native object is gone: disposed, and no use of it left.</summary>
    internal bool IsReleased => handle.IsClosed;

    /// <summary>Gives the native object back.</summary>
    public void Dispose()
    {
        disposed = true;
        handle.Dispose();
        GC.SuppressFinalize(this);
    }
}
