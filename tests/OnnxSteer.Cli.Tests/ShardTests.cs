using System.Diagnostics;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>Shards of a capture: complete or absent, resumed, taken in parts, merged to the bits of one process.</summary>
public sealed class ShardTests
{
    private const int Kills = 20;
    private const string Sites = ".*o_proj";

    [Fact]
    public void Killed_at_random_points_and_resumed_it_fits_the_same_map()
    {
        using var folder = new TemporaryFolder();
        var target = Cli.Prompts(folder, "target.txt", "girl");
        string[] capture = Capture(Many(folder, 96), folder["shards"], "--shards", "24");
        string[] Fit(string source, string map) => ["fit", Cli.Optimum, "--source", source, "--target", target, "--sites", Sites, "--threads", "1", "--batch", "4", "--out", map];
        Cli.Done(Fit(folder["many.txt"], folder["expected.safetensors"]));
        var watch = Stopwatch.StartNew();
        using (var whole = Start(capture))
            whole.WaitForExit();
        var full = watch.Elapsed;
        var expected = Shards(folder["shards"]);
        Assert.Equal(24, expected.Count);
        Directory.Delete(folder["shards"], recursive: true);
        var random = new Random(7);
        var between = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            using var process = Start(capture);
            Thread.Sleep(full * (0.25 + 0.75 * random.NextDouble()));
            process.Kill();
            process.WaitForExit();
            var there = Directory.Exists(folder["shards"]) ? Shards(folder["shards"]) : [];
            // Whatever bears a shard's name is the shard, to the bit.
            Assert.All(there, shard => Assert.Equal(expected[shard.Key], shard.Value));
            between += there.Count is > 0 and < 24 ? 1 : 0;
            // So that the next one has something left to do.
            if (there.Count == 24)
                foreach (var name in there.Keys.Where(_ => random.Next(4) > 0))
                    File.Delete(folder["shards", name]);
        }
        Assert.True(between > 0, "no kill came while shards were being written");
        Cli.Done(capture);
        Assert.Equal(expected, Shards(folder["shards"]));
        Cli.Done(Fit(folder["shards"], folder["map.safetensors"]));
        Assert.Equal(File.ReadAllBytes(folder["expected.safetensors"]), File.ReadAllBytes(folder["map.safetensors"]));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 3)]
    [InlineData(5, 2)]
    [InlineData(2, 4)]
    public void Parts_of_shards_merge_to_the_bits_of_one_process(int shards, int parts)
    {
        using var folder = new TemporaryFolder();
        var prompts = Many(folder, 23);
        Cli.Done(Capture(prompts, folder["one.safetensors"]));
        for (var part = parts; part >= 1; part--)
            Cli.Done(Capture(prompts, folder["shards"], "--shards", $"{shards}", "--part", $"{part}/{parts}"));
        Cli.Done("merge", folder["shards"], "--out", folder["merged.safetensors"]);
        Assert.Equal(File.ReadAllBytes(folder["one.safetensors"]), File.ReadAllBytes(folder["merged.safetensors"]));
        // Nothing is left to do.
        Assert.Equal(0, Cli.Done([.. Capture(prompts, folder["shards"], "--shards", $"{shards}"), "--json"]).Json.GetProperty("shards").GetProperty("done").GetInt32());
    }

    [Fact]
    public void Other_plans_missing_shards_and_damage_are_named()
    {
        using var folder = new TemporaryFolder();
        var prompts = Many(folder, 23);
        Cli.Done(Capture(prompts, folder["shards"], "--shards", "3", "--part", "2/3"));
        Refused("lacks 2 of its 3 shards: shard-00001-of-00003.safetensors, shard-00003-of-00003.safetensors", "merge", folder["shards"], "--out", folder["m.safetensors"]);
        Cli.Done(Capture(prompts, folder["shards"], "--shards", "3"));
        foreach (var (expected, other) in new (string, string[])[]
        {
            ("shards: 3 there, 4 here", ["--shards", "4"]),
            ("pooling: mean there, max here", ["--shards", "3", "--pooling", "max"]),
            ("tokens pooled: all there, skip-first here", ["--shards", "3", "--skip-first"]),
            ("token ids (digest)", ["--shards", "3", "--max-tokens", "5"]),
            ("seed: 0 there, 3 here", ["--shards", "3", "--seed", "3"]),
        })
            Refused(expected, Capture(prompts, folder["shards"], other));
        Refused("prompts (digest)", Capture(Cli.Prompts(folder, "p.txt", "cat"), folder["shards"], "--shards", "3"));
        Refused("model (graph)", [.. Capture(prompts, folder["shards"], "--shards", "3").Select(arg => arg == Cli.Optimum ? Cli.Genai : arg)]);
        Refused("captured from another model", "fit", Cli.Genai, "--source", folder["shards"], "--target", prompts, "--sites", Sites, "--out", folder["m.safetensors"]);
        Refused("no folder with a plan.json", "merge", folder.Path, "--out", folder["m.safetensors"]);
        Refused("is not empty", Capture(prompts, folder.Path, "--shards", "2"));
        var shard = folder["shards", "shard-00002-of-00003.safetensors"];
        var bytes = File.ReadAllBytes(shard);
        foreach (var damage in new Action<byte[]>[] { copy => copy[^5] ^= 1, copy => copy[3] ^= 64 })
        {
            var copy = bytes.ToArray();
            damage(copy);
            File.WriteAllBytes(shard, copy);
            Refused("shard-00002-of-00003.safetensors", "merge", folder["shards"], "--out", folder["m.safetensors"]);
            var again = Cli.Done(Capture(prompts, folder["shards"], "--shards", "3"));
            Assert.Contains("computed anew", again.Error);
            Assert.Equal(bytes, File.ReadAllBytes(shard));
        }
        var plan = File.ReadAllText(folder["shards", "plan.json"]);
        foreach (var broken in new[] { "", "{}", "null", plan[..^20], plan.Replace("\"shards\":3", "\"shards\":9999"), plan.Replace("[[", "[[1,1,1,"), plan.Replace("\"channels\":64", "\"channels\":-64") })
        {
            File.WriteAllText(folder["shards", "plan.json"], broken);
            Refused("plan.json", "merge", folder["shards"], "--out", folder["m.safetensors"]);
        }
    }

    private static string[] Capture(string prompts, string output, params string[] more) =>
        ["capture", Cli.Optimum, "--prompts", prompts, "--sites", Sites, "--threads", "1", "--batch", "4", "--out", output, .. more];

    private static string Many(TemporaryFolder folder, int count)
    {
        File.WriteAllLines(folder["many.txt"], Enumerable.Range(0, count).Select(i => $"One day, {string.Join(" and ", Enumerable.Range(0, 1 + i % 9).Select(j => $"{i + j} dogs"))} went to the park."));
        return folder["many.txt"];
    }

    private static SortedDictionary<string, string> Shards(string folder) => new(
        Directory.GetFiles(folder, "shard-*").ToDictionary(path => Path.GetFileName(path), path => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)))), StringComparer.Ordinal);

    private static Process Start(string[] args) =>
        Process.Start(new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "OnnxSteer.Cli.dll"), .. args]) { RedirectStandardError = true, RedirectStandardOutput = true })!;

    private static void Refused(string expected, params string[] args)
    {
        var call = Cli.Run(args);
        Assert.True(call.ExitCode == 3, $"{call.ExitCode}: {call.Out}{call.Error}");
        Assert.Contains(expected, call.Error);
    }
}
