using System.Reflection;
using System.Runtime.InteropServices;
using OnnxSteer.Fixtures;
using OnnxSteer.Ort;

namespace OnnxSteer.Conformance;

/// <summary>
/// The few calls of onnxruntime-genai's C API that a check needs. The library uses the ONNX Runtime that the process has
/// loaded already, which must be the one that this project runs, or it ends the process.
/// </summary>
internal static partial class GenaiLibrary
{
    private const string Name = "onnxruntime-genai";
    private const int Now = 2, Global = 0x100;

    static GenaiLibrary()
    {
        if (dlopen(OrtLibrary.Path, Now | Global) == 0)
            throw new DllNotFoundException($"{OrtLibrary.Path} cannot be loaded with global symbols.");
        NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) => name == Name ? NativeLibrary.Load(FilePath) : 0);
    }

    public static string FilePath => Folders.InShared("native", "linux-x64", "libonnxruntime-genai.so");

    /// <summary>Why the library cannot be used here, or null.</summary>
    public static string? Missing =>
        !OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64 ? "onnxruntime-genai is here for linux-x64 only"
            : File.Exists(FilePath) ? null : "needs onnxruntime-genai in ../shared/native";

    public static void Check(nint result)
    {
        if (result == 0)
            return;
        var message = Marshal.PtrToStringUTF8(OgaResultGetError(result));
        OgaDestroyResult(result);
        throw new InvalidOperationException($"onnxruntime-genai: {message}");
    }

    [LibraryImport("libc.so.6", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint dlopen(string path, int flags);

    [LibraryImport(Name)]
    private static partial nint OgaResultGetError(nint result);

    [LibraryImport(Name)]
    private static partial void OgaDestroyResult(nint result);

    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint OgaCreateModel(string folder, out nint model);

    [LibraryImport(Name)]
    internal static partial nint OgaCreateGeneratorParams(nint model, out nint parameters);

    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint OgaGeneratorParamsSetSearchNumber(nint parameters, string name, double value);

    [LibraryImport(Name)]
    internal static partial nint OgaCreateGenerator(nint model, nint parameters, out nint generator);

    [LibraryImport(Name)]
    internal static partial nint OgaGenerator_AppendTokens(nint generator, int[] ids, nuint count);

    [LibraryImport(Name)]
    [return: MarshalAs(UnmanagedType.U1)]
    internal static partial bool OgaGenerator_IsDone(nint generator);

    [LibraryImport(Name)]
    internal static partial nint OgaGenerator_GenerateNextToken(nint generator);

    [LibraryImport(Name)]
    internal static partial nuint OgaGenerator_GetSequenceCount(nint generator, nuint row);

    [LibraryImport(Name)]
    internal static partial nint OgaGenerator_GetSequenceData(nint generator, nuint row);

    [LibraryImport(Name)]
    internal static partial nint OgaGenerator_GetLogits(nint generator, out nint tensor);

    [LibraryImport(Name)]
    internal static partial nint OgaTensorGetShapeRank(nint tensor, out nuint rank);

    [LibraryImport(Name)]
    internal static partial nint OgaTensorGetShape(nint tensor, [Out] long[] shape, nuint rank);

    [LibraryImport(Name)]
    internal static partial nint OgaTensorGetData(nint tensor, out nint data);

    [LibraryImport(Name)]
    internal static partial nint OgaCreateAdapters(nint model, out nint adapters);

    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint OgaLoadAdapter(nint adapters, string path, string name);

    [LibraryImport(Name, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint OgaSetActiveAdapter(nint generator, nint adapters, string name);

    [LibraryImport(Name)]
    internal static partial void OgaDestroyAdapters(nint adapters);

    [LibraryImport(Name)]
    internal static partial void OgaDestroyModel(nint model);

    [LibraryImport(Name)]
    internal static partial void OgaDestroyGeneratorParams(nint parameters);

    [LibraryImport(Name)]
    internal static partial void OgaDestroyGenerator(nint generator);

    [LibraryImport(Name)]
    internal static partial void OgaDestroyTensor(nint tensor);

    [LibraryImport(Name)]
    internal static partial void OgaShutdown();
}

/// <summary>
/// All tests of the library, one after the other: shutting it down, which the end of the collection does, ends every model
/// that is still open in the process.
/// </summary>
[CollectionDefinition(nameof(GenaiProcess))]
public sealed class GenaiProcess : ICollectionFixture<GenaiProcess>, IDisposable
{
    public void Dispose()
    {
        if (Folders.HasShared && GenaiLibrary.Missing is null)
            GenaiLibrary.OgaShutdown();
    }
}

[AttributeUsage(AttributeTargets.Method)]
public sealed class GenaiTheoryAttribute : TheoryAttribute
{
    public GenaiTheoryAttribute() => Skip = Folders.HasShared ? GenaiLibrary.Missing : "needs the reference data in ../shared";
}
