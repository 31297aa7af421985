using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort;

/// <summary>An object of ONNX Runtime. Using it after <see cref="Dispose"/> throws <see cref="ObjectDisposedException"/>.</summary>
/// <remarks>Disposing twice is fine, and so is disposing during a run: the native object goes when the run is over.</remarks>
public abstract class OrtObject : IDisposable
{
    private protected OrtObject(OrtHandle handle) => Handle = handle;

    internal OrtHandle Handle { get; }

    /// <summary>Whether <see cref="Dispose"/> was called.</summary>
    public bool IsDisposed => Handle.IsClosed;

    internal Lease Use() => Handle.Use(this);

    /// <summary>Gives the native object back.</summary>
    public void Dispose()
    {
        Handle.Dispose();
        GC.SuppressFinalize(this);
    }
}
