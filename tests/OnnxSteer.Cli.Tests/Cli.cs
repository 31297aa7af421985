using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>Calls the command line in this process.</summary>
internal sealed record Cli(int ExitCode, string Out, string Error)
{
    public static string Optimum => Path.Combine(Folders.Models, "stories260k", "optimum");

    public static string Genai => Path.Combine(Folders.Models, "stories260k-h16", "genai-fp32");

    public JsonElement Json => JsonDocument.Parse(Out).RootElement;

    public static Cli Run(params string[] args) => Run(CancellationToken.None, args);

    public static Cli Run(CancellationToken cancel, params string[] args)
    {
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = CommandLine.RunAsync(args, new Terminal(output, error, false, false), cancel).GetAwaiter().GetResult();
        return new Cli(code, output.ToString(), error.ToString());
    }

    public static Cli Done(params string[] args)
    {
        var call = Run(args);
        Assert.True(call.ExitCode == 0, $"onnxsteer {string.Join(' ', args)}: {call.ExitCode}\n{call.Error}");
        return call;
    }

    /// <summary>Prompts and a map of the o_proj sites, fitted on the optimum export.</summary>
    public static string FitMap(TemporaryFolder folder, string sites = ".*o_proj", params string[] more)
    {
        var map = folder["map.safetensors"];
        Done(["fit", Optimum, "--source", Prompts(folder, "source.txt", "dog"), "--target", Prompts(folder, "target.txt", "girl"), "--sites", sites, "--out", map, .. more]);
        return map;
    }

    public static string Prompts(TemporaryFolder folder, string name, string who)
    {
        File.WriteAllLines(folder[name], Enumerable.Range(0, 8).Select(i => $"The {who} saw {i + 1} big {(i % 2 == 0 ? "red balls" : "trees")} in the {(i % 3 == 0 ? "park" : "garden")}."));
        return folder[name];
    }

    /// <summary>Every file below a folder with its bytes' digest and its number of links.</summary>
    public static IReadOnlyList<string> Snapshot(string folder) =>
        [.. Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(path =>
            File.Exists(path) ? $"{path} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)))} {File.GetLastWriteTimeUtc(path):O}" : path)];
}
