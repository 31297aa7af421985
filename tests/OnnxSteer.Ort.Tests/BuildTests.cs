using System.Diagnostics;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Ort.Tests;

public sealed class BuildTests
{
    private static readonly string Native = Path.Combine(Folders.Root, "build", "native");

    [Theory]
    [InlineData("-p:OrtFlavor=Gpu -p:OrtRid=linux-x64", "ORT001: OrtFlavor is 'Gpu'; it must be Npm, Cpu, Cuda, DirectML or System.")]
    [InlineData("-p:OrtFlavor=Npm -p:OrtRid=osx-x64", "no ONNX Runtime library for 'osx-x64', only for linux-x64, linux-arm64, win-x64, win-arm64, osx-arm64.")]
    [InlineData("-p:OrtFlavor=System -p:OrtLibraryPath=/no/such/library", "ORT004: OrtLibraryPath names '/no/such/library', where there is no file.")]
    public void What_cannot_be_provided_is_one_error(string properties, string message)
    {
        var (code, output) = MSBuild($"\"{Path.Combine(Native, "onnxruntime.proj")}\" {properties}");
        Assert.NotEqual(0, code);
        Assert.Contains(message, Assert.Single(output.Split('\n'), line => line.Contains("error")));
    }

    [Theory]
    [InlineData("Cpu", "Microsoft.ML.OnnxRuntime")]
    [InlineData("Cuda", "Microsoft.ML.OnnxRuntime.Gpu")]
    [InlineData("DirectML", "Microsoft.ML.OnnxRuntime.DirectML")]
    public void A_flavor_is_one_package_of_native_files(string flavor, string package)
    {
        var project = Path.Combine(Folders.Root, "src", "OnnxSteer.Ort", "OnnxSteer.Ort.csproj");
        var (code, output) = MSBuild($"\"{project}\" -getItem:PackageReference -p:OrtFlavor={flavor}");
        Assert.Equal(0, code);
        Assert.Equal(1, output.Split("\"Identity\"").Length - 1);
        Assert.Contains($"\"Identity\": \"{package}\"", output);
        Assert.Contains("\"IncludeAssets\": \"native\"", output);
    }

    [Fact]
    public void The_lock_file_names_digests_and_no_registry()
    {
        var locked = File.ReadAllText(Path.Combine(Native, "package-lock.json"));
        Assert.DoesNotContain("\"resolved\"", locked);
        Assert.Contains("\"integrity\"", locked);
    }

    private static (int Code, string Output) MSBuild(string arguments)
    {
        var start = new ProcessStartInfo("dotnet", $"msbuild -nologo -v:quiet -nodeReuse:false {arguments}")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // What the build that runs these tests left for its own children would lead another one astray.
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("MSBuild", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(name);
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
