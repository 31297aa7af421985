using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort.Tests;

public sealed unsafe class LibraryTests
{
    [Fact]
    public void The_library_beside_the_tests_is_the_one_that_npm_gives()
    {
        using var package = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folders.Root, "build", "native", "package.json")));
        var wanted = package.RootElement.GetProperty("dependencies").GetProperty("onnxruntime-node").GetString();
        if (Environment.GetEnvironmentVariable(OrtLibrary.EnvironmentVariable) is null)
        {
            Assert.Equal(AppContext.BaseDirectory, Path.GetDirectoryName(OrtLibrary.Path) + Path.DirectorySeparatorChar);
            Assert.Equal(wanted, OrtLibrary.Version);
        }
        Assert.True(File.Exists(OrtLibrary.Path));
    }

    [Fact]
    public void A_named_file_that_is_not_there_is_missing()
    {
        var error = Assert.Throws<OrtLibraryException>(() => LoadedLibrary.LoadNamed("no/such/library.so", "The setting X"));
        Assert.Equal(OrtLibraryProblem.Missing, error.Problem);
        Assert.Equal("no/such/library.so", error.Path);
        Assert.StartsWith("The setting X names 'no/such/library.so', where there is no file. Set it to", error.Message);
    }

    [Fact]
    public void A_file_that_is_no_library_is_not_loadable()
    {
        using var folder = new TemporaryFolder();
        var path = folder[LoadedLibrary.FileNames[0]];
        File.WriteAllText(path, "not a library");
        var error = Assert.Throws<OrtLibraryException>(() => LoadedLibrary.LoadFrom([folder.Path]));
        Assert.Equal(OrtLibraryProblem.NotLoadable, error.Problem);
        Assert.Contains(path, error.Message);
        Assert.NotNull(error.InnerException);
    }

    [Fact]
    public void Another_library_lacks_the_entry_point()
    {
        var runtime = RuntimeEnvironment.GetRuntimeDirectory();
        var other = Directory.GetFiles(runtime, "*System.Native*").Concat(Directory.GetFiles(runtime, "coreclr.dll"))
            .First(path => !path.EndsWith(".a", StringComparison.Ordinal));
        var error = Assert.Throws<OrtLibraryException>(() => LoadedLibrary.LoadNamed(other, "The test"));
        Assert.Equal(OrtLibraryProblem.MissingSymbol, error.Problem);
        Assert.Contains(other, error.Message);
        Assert.Contains("OrtGetApiBase", error.Message);
    }

    [Theory]
    [InlineData("1.17.3")]
    [InlineData("1.21.0-dev")]
    [InlineData("an odd build")]
    public void An_old_library_is_refused_with_its_version(string version)
    {
        oldVersion = Encoding.UTF8.GetBytes(version + '\0');
        var apiBase = new OrtApiBase { GetApi = &NoApi, GetVersionString = &OldVersion };
        var error = Assert.Throws<OrtLibraryException>(() => FromBase(apiBase));
        Assert.Equal(OrtLibraryProblem.TooOld, error.Problem);
        Assert.StartsWith($"'/lib/old' is ONNX Runtime {version}; 1.22 or later is needed.", error.Message);
        Assert.Contains(OrtLibrary.EnvironmentVariable, error.Message);
    }

    [Fact]
    public void A_library_under_runtimes_is_found_and_the_folder_comes_first()
    {
        using var folder = new TemporaryFolder();
        var system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        var native = folder["runtimes", $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}", "native"];
        Directory.CreateDirectory(native);
        File.WriteAllText(Path.Combine(native, LoadedLibrary.FileNames[^1]), "not a library");
        var error = Assert.Throws<OrtLibraryException>(() => LoadedLibrary.LoadFrom([folder.Path, AppContext.BaseDirectory]));
        Assert.Equal(Path.Combine(native, LoadedLibrary.FileNames[^1]), error.Path);
    }

    [Fact]
    public void A_missing_execution_provider_is_one_plain_error()
    {
        Assert.Contains("CPUExecutionProvider", OrtEnvironment.AvailableProviders);
        var error = Assert.Throws<OrtException>(() => Open(new ExecutionProvider("Abacus")));
        Assert.Equal(OrtErrorCode.NotFound, error.Code);
        Assert.Contains("'Abacus' is not in ONNX Runtime", error.Message);
        Assert.Contains("CPU", error.Message[error.Message.IndexOf("which has", StringComparison.Ordinal)..]);
        Assert.Contains(OrtLibrary.Path, error.Message);
        Assert.Contains("OrtFlavor=System", error.Message);

        if (!OrtEnvironment.AvailableProviders.Contains("CUDAExecutionProvider"))
            Assert.Contains("-p:OrtFlavor=Cuda", Assert.Throws<OrtException>(() => Open(ExecutionProvider.Cuda())).Message);
        if (!OrtEnvironment.AvailableProviders.Contains("DmlExecutionProvider"))
            Assert.Contains("-p:OrtFlavor=DirectML", Assert.Throws<OrtException>(() => Open(ExecutionProvider.DirectML())).Message);
    }

    [Fact]
    public void The_cpu_may_be_named()
    {
        using var session = Models.Identity(ElementType.Float, 1).Open(new() { ExecutionProviders = [ExecutionProvider.Cpu] });
        Assert.Single(session.Inputs);
    }

    private static byte[] oldVersion = [];

    private static void Open(ExecutionProvider provider) =>
        Models.Identity(ElementType.Float, 1).Open(new() { ExecutionProviders = [provider] }).Dispose();

    private static void FromBase(OrtApiBase apiBase)
    {
        fixed (byte* pinned = oldVersion)
            LoadedLibrary.FromBase(&apiBase, "/lib/old");
    }

    [UnmanagedCallersOnly]
    private static OrtApi* NoApi(uint version) => null;

    [UnmanagedCallersOnly]
    private static byte* OldVersion() => (byte*)Marshal.UnsafeAddrOfPinnedArrayElement(oldVersion, 0);
}
