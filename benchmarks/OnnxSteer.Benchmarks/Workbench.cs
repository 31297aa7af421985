using System.Collections.Immutable;
using System.Diagnostics;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;

namespace OnnxSteer.Benchmarks;

/// <summary>Models and maps to measure on.</summary>
internal static class Workbench
{
    public static string Root { get; } = FindRoot();

    public static SessionOptions OneThread { get; } = new() { IntraOpThreads = 1, LogSeverity = LogSeverity.Error };

    /// <summary>The small models of the project, and a larger one where the reference data lie beside the checkout.</summary>
    public static IEnumerable<(string Name, string Folder)> Models()
    {
        yield return ("stories260k optimum", Path.Combine(Root, "models", "stories260k", "optimum"));
        yield return ("stories260k-h16 genai", Path.Combine(Root, "models", "stories260k-h16", "genai-fp32"));
        var large = Path.Combine(Root, "..", "shared", "models", "smollm2-135m", "genai-int4");
        if (Directory.Exists(large))
            yield return ("SmolLM2-135M int4 genai", large);
    }

    /// <summary>A map that leaves texts readable, so that steered and unsteered runs do like work.</summary>
    public static SteeringMap Map(Model model, float factor = 1.001f) => new(SiteTable.Of(model).Matching(@".*\.o_proj").Select(site =>
        new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(factor, site.Channels)], [.. Enumerable.Repeat(0.0001f, site.Channels)]))));

    /// <summary>The same map within bounds that most activations lie in.</summary>
    public static SteeringMap Bounded(SteeringMap map) => new(map.Sites.Select(entry => new SiteTransport(entry.Site, Transport.Of(entry.Site, entry.Transport.W, entry.Transport.B,
        [.. Enumerable.Repeat(-100f, entry.Transport.Channels)], [.. Enumerable.Repeat(100f, entry.Transport.Channels)]))));

    public static Model Steer(Model model, Mode mode) => model.Apply(Steering.Patch(model, Map(model), new SteeringOptions { Mode = mode }));

    public static ImmutableArray<int> Prompt(int length, int seed) => [1, .. Enumerable.Range(1, length - 1).Select(i => 3 + (i * 37 + seed * 11) % 400)];

    public static void Shell(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments))!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{command} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    }

    /// <summary>What a process prints.</summary>
    public static string Output(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{command} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    }

    public static Model Open(string folder) => ModelFile.Open(folder);

    private static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
            if (File.Exists(Path.Combine(folder, "OnnxSteer.sln")))
                return folder;
        throw new DirectoryNotFoundException("No folder above the benchmarks holds OnnxSteer.sln.");
    }
}
