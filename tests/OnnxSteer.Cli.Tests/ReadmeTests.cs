using System.Diagnostics;
using System.Text.RegularExpressions;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>What the README says to type works.</summary>
public sealed partial class ReadmeTests
{
    private const string Call = "onnxsteer ";
    private static readonly string Readme = File.ReadAllText(Path.Combine(Folders.Root, "README.md"));

    [Fact]
    public void The_first_command_runs_the_demonstration()
    {
        var words = Commands().First().Split(' ');
        Assert.Equal(["dotnet", "run"], words[..2]);
        var output = Path.Combine(Folders.Root, "onnxsteer-demo");
        var wasThere = Directory.Exists(output);
        var text = Start(words[0], words[1..], Folders.Root);
        Assert.Contains("strength 0.5", text);
        Assert.DoesNotContain("FAILS", text);
        foreach (var file in new[] { "report.html", "map.safetensors", "stories260k-steered/model.onnx", "stories260k-steered/onnxsteer.json", "stories260k-steered-genai/model.onnx.data" })
            Assert.True(File.Exists(Path.Combine(output, file)), file);
        if (!wasThere)
            Directory.Delete(output, recursive: true);
    }

    [Fact]
    public void The_second_command_is_what_continuous_integration_calls()
    {
        Assert.StartsWith("dotnet test", Commands().Skip(1).First(), StringComparison.Ordinal);
        Assert.Contains("README.md", File.ReadAllText(Path.Combine(Folders.Root, ".ci", "run")));
    }

    [Fact]
    public void All_other_commands_work_in_their_order()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateSymbolicLink(folder["models"], Folders.Models);
        var calls = Commands().Where(command => command.StartsWith(Call, StringComparison.Ordinal)).ToList();
        Assert.True(calls.Count >= 6);
        foreach (var call in calls)
            Start("dotnet", [Path.Combine(AppContext.BaseDirectory, "OnnxSteer.Cli.dll"), .. Words().Matches(call[Call.Length..]).Select(word => word.Value.Trim('"'))], folder.Path);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Folders.Models, "stories260k", "optimum", "model.onnx")), File.ReadAllBytes(folder["original", "model.onnx"]));
    }

    [Fact]
    public void The_program_compiles_and_writes_a_steered_model()
    {
        var source = File.ReadAllText(Path.Combine(Folders.Root, "tests", "OnnxSteer.Cli.Tests", "ReadmeSample.cs"));
        var sample = Region().Match(source).Groups["body"].Value;
        Assert.Contains(string.Join('\n', sample.TrimEnd().Split('\n').Select(line => line.Length > 8 ? line[8..] : "")), Readme);
        var steered = Path.GetFullPath("steered");
        if (Directory.Exists(steered))
            Directory.Delete(steered, recursive: true);
        ReadmeSample.Run();
        Assert.True(File.Exists(Path.Combine(steered, "model.onnx")));
        Directory.Delete(steered, recursive: true);
    }

    private static IEnumerable<string> Commands() =>
        Blocks().Matches(Readme).SelectMany(block => block.Groups["body"].Value.Split('\n', StringSplitOptions.RemoveEmptyEntries));

    private static string Start(string program, IEnumerable<string> arguments, string folder)
    {
        var info = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        // What the test run tells its own build must not reach another one.
        foreach (var name in info.Environment.Keys.Where(name => name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase)).ToList())
            info.Environment.Remove(name);
        using var process = Process.Start(info)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {process.ExitCode}\n{output}\n{error.Result}");
        return output;
    }

    [GeneratedRegex(@"```sh\n(?<body>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"""[^""]*""|\S+")]
    private static partial Regex Words();

    [GeneratedRegex(@"#region README\n(?<body>.*?)#endregion", RegexOptions.Singleline)]
    private static partial Regex Region();
}
