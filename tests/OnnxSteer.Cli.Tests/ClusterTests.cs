using System.Diagnostics;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>What the cluster scripts capture fits the map that one process fits, bit for bit.</summary>
public sealed partial class ClusterTests
{
    private static readonly string Program = $"dotnet {Path.Combine(AppContext.BaseDirectory, "OnnxSteer.Cli.dll")}";

    [SlurmFact, UnsupportedOSPlatform("windows")]
    public void A_Slurm_array_captures_what_one_process_does()
    {
        using var folder = new TemporaryFolder();
        var expected = Expected(folder);
        using var node = new SlurmNode();
        foreach (var side in new[] { "source", "target" })
            node.Submit(new Dictionary<string, string> { ["ONNXSTEER"] = Program }, "--array=1-3", Path.Combine(Folders.Root, "tools", "cluster", "capture.slurm"),
                Cli.Optimum, "--prompts", folder[$"{side}.txt"], "--sites", ".*o_proj", "--threads", "1", "--batch", "2", "--shards", "4", "--out", folder[$"{side}-shards"]);
        Assert.Equal(expected, Fitted(folder));
    }

    [Fact]
    public void The_pods_of_a_Kubernetes_job_capture_what_one_process_does()
    {
        using var folder = new TemporaryFolder();
        var expected = Expected(folder);
        var manifest = File.ReadAllText(Path.Combine(Folders.Root, "tools", "cluster", "capture.k8s.yaml"));
        // The folded lines of a block scalar are one.
        var command = string.Join(' ', Command().Match(manifest).Groups["command"].Value.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("--part", command);
        Assert.Equal(3, Regex.Count(manifest, @"completions: 8|parallelism: 8|value: ""8"""));
        const int pods = 2;
        foreach (var side in new[] { "source", "target" })
            for (var pod = 0; pod < pods; pod++)
            {
                var here = command.Replace("exec onnxsteer", $"exec {Program}").Replace("--threads 4", "--threads 1 --batch 2").Replace("/data/model", Cli.Optimum)
                    .Replace("/data/source.txt", folder[$"{side}.txt"]).Replace("/data/source-shards", folder[$"{side}-shards"]);
                Assert.DoesNotContain(" /data/", here);
                using var process = Process.Start(new ProcessStartInfo("sh", ["-c", here]) { Environment = { ["JOB_COMPLETION_INDEX"] = $"{pod}", ["PARTS"] = $"{pods}" }, RedirectStandardError = true })!;
                var error = process.StandardError.ReadToEnd();
                process.WaitForExit();
                Assert.True(process.ExitCode == 0, error);
            }
        Assert.Equal(expected, Fitted(folder));
    }

    private static byte[] Expected(TemporaryFolder folder)
    {
        Cli.FitMap(folder, ".*o_proj", "--threads", "1", "--batch", "2");
        return File.ReadAllBytes(folder["map.safetensors"]);
    }

    private static byte[] Fitted(TemporaryFolder folder)
    {
        Cli.Done("fit", Cli.Optimum, "--source", folder["source-shards"], "--target", folder["target-shards"], "--sites", ".*o_proj", "--out", folder["merged.safetensors"]);
        return File.ReadAllBytes(folder["merged.safetensors"]);
    }

    [GeneratedRegex(@"- >-\n(?<command>(?:              .*\n)+)")]
    private static partial Regex Command();
}
