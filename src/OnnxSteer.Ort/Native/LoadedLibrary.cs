using System.Diagnostics;
using System.Runtime.InteropServices;

namespace OnnxSteer.Ort.Native;

/// <summary>Finds and loads ONNX Runtime's library, and says plainly why it cannot.</summary>
internal sealed unsafe class LoadedLibrary
{
    private const string Setting = "OnnxSteer.Ort.Library";
    private const string EntryPoint = "OrtGetApiBase";

    private LoadedLibrary(OrtApi* api, string path, string version)
    {
        Api = api;
        Path = path;
        Version = version;
    }

    public OrtApi* Api { get; }

    public string Path { get; }

    public string Version { get; }

    /// <summary>File names, as npm, NuGet and the system's packages call the library.</summary>
    public static string[] FileNames { get; } =
        OperatingSystem.IsWindows() ? ["onnxruntime.dll"]
        : OperatingSystem.IsMacOS() ? ["libonnxruntime.1.dylib", "libonnxruntime.dylib"]
        : ["libonnxruntime.so.1", "libonnxruntime.so"];

    public static LoadedLibrary Load()
    {
        if (Environment.GetEnvironmentVariable(OrtLibrary.EnvironmentVariable) is { Length: > 0 } named)
            return LoadNamed(named, $"The environment variable {OrtLibrary.EnvironmentVariable}");
        if (AppContext.GetData(Setting) is string { Length: > 0 } set)
            return LoadNamed(set, $"The program's setting {Setting} (from -p:OrtLibraryPath when it was built)");
        var assembly = typeof(LoadedLibrary).Assembly.Location; // empty in a single-file program
        return LoadFrom([AppContext.BaseDirectory, System.IO.Path.GetDirectoryName(assembly) ?? ""]);
    }

    /// <summary>Loads exactly this file.</summary>
    /// <param name="path">A file.</param>
    /// <param name="source">Who named it, for the error.</param>
    public static LoadedLibrary LoadNamed(string path, string source)
    {
        if (!File.Exists(path))
            throw new OrtLibraryException(OrtLibraryProblem.Missing, path, $"{source} names '{path}', where there is no file. "
                + "Set it to ONNX Runtime's library, or leave it out to use the library beside the program.");
        return LoadFile(System.IO.Path.GetFullPath(path));
    }

    /// <summary>Loads the library from the first of these folders that has it, else from where the system looks.</summary>
    public static LoadedLibrary LoadFrom(IReadOnlyList<string> folders)
    {
        var looked = new List<string>();
        foreach (var folder in folders.Where(folder => folder.Length > 0).Distinct())
            foreach (var below in new[] { folder, System.IO.Path.Combine(folder, "runtimes", PortableRid, "native") })
                foreach (var name in FileNames)
                {
                    var path = System.IO.Path.Combine(below, name);
                    if (File.Exists(path))
                        return LoadFile(path);
                    looked.Add(path);
                }

        foreach (var name in FileNames)
            if (NativeLibrary.TryLoad(name, typeof(LoadedLibrary).Assembly, null, out var library))
                return Open(library, null);
        throw new OrtLibraryException(OrtLibraryProblem.Missing, null,
            $"ONNX Runtime's library was not found. Build again, which puts it beside the program (see OrtFlavor), or set "
            + $"{OrtLibrary.EnvironmentVariable} to its path. Looked for: {string.Join(", ", looked)}.");
    }

    /// <summary>Takes the function table out of a library.</summary>
    public static LoadedLibrary FromBase(OrtApiBase* apiBase, string path)
    {
        var version = Utf8.Read(apiBase->GetVersionString());
        // An older library would write its refusal to the standard error stream; that it is older shows without asking.
        var api = IsOlder(version) ? null : apiBase->GetApi(OrtApi.Version);
        if (api == null)
            throw new OrtLibraryException(OrtLibraryProblem.TooOld, path,
                $"'{path}' is ONNX Runtime {version}; 1.{OrtApi.Version} or later is needed. "
                + "Build with a newer library (see OrtFlavor), or set "
                + $"{OrtLibrary.EnvironmentVariable} to the path of one.");
        return new LoadedLibrary(api, path, version);
    }

    private static string PortableRid
    {
        get
        {
            var system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
            return $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        }
    }

    private static LoadedLibrary LoadFile(string path)
    {
        try
        {
            return Open(NativeLibrary.Load(path), path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new OrtLibraryException(OrtLibraryProblem.NotLoadable, path, $"'{path}' cannot be loaded into this "
                + $"{RuntimeInformation.RuntimeIdentifier} process. It must be ONNX Runtime's library for this platform, and what "
                + $"it depends on must be installed (on Linux glibc 2.28 or later). The system says: {e.Message}", e);
        }
    }

    private static LoadedLibrary Open(nint library, string? path)
    {
        if (!NativeLibrary.TryGetExport(library, EntryPoint, out var entry))
            throw new OrtLibraryException(OrtLibraryProblem.MissingSymbol, path, $"'{path}' is not ONNX Runtime: it exports no "
                + $"{EntryPoint}. Set {OrtLibrary.EnvironmentVariable} to the path of ONNX Runtime's library.");
        return FromBase(((delegate* unmanaged<OrtApiBase*>)entry)(), path ?? FileOf(entry));
    }

    private static bool IsOlder(string version) =>
        System.Version.TryParse(version.Split('-', '+')[0], out var parsed) && parsed < new Version(1, (int)OrtApi.Version);

    /// <summary>The file that an address was loaded from, for a library that the system found by its name.</summary>
    private static string FileOf(nint address)
    {
        using var process = Process.GetCurrentProcess();
        foreach (ProcessModule module in process.Modules)
            if (address >= module.BaseAddress && address < module.BaseAddress + module.ModuleMemorySize)
                return module.FileName;
        return FileNames[0];
    }
}
