using System.Diagnostics;
using OnnxSteer.Generate;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Benchmarks;

/// <summary>Patching models of all sizes against copying them, and the memory that one patch takes.</summary>
internal static class PatchSizeBenchmark
{
    private const int MaxSites = 64;

    public static void Run(int rounds, string results)
    {
        var place = Directory.CreateTempSubdirectory("onnxsteer-size-").FullName;
        try
        {
            var report = new Report();
            var inline = Make(place, "500 MB inline", new BigModelOptions { Bytes = 500_000_000 });
            var external = Make(place, "4 GB external, 8 files", new BigModelOptions { Bytes = 4_000_000_000, Shards = 8 });
            var nodes = Make(place, "200,000 nodes", new BigModelOptions { Nodes = 200_000 });
            var small = Make(place, "10 MB in memory", new BigModelOptions { Bytes = 10_000_000 });
            const string what = "Open, site table, patch (baked, o_proj of at most 64 layers), apply, save durably, in this process; `cp -r` and `sync` of the same files.";
            report.Add("Patching, against copying", what, [Against(inline, rounds), Against(external, rounds), Against(nodes, rounds)]);
            report.Add("Patching without copying", "With hard links (`--link`); and from bytes to bytes, nothing written.",
            [
                SideBySide.Run(external.Name, rounds, ("patch --link", () => Patch(external, Path.Combine(place, "out"), link: true))),
                SideBySide.Run(small.Name, rounds, InMemory(small)),
            ]);
            report.Add("## Memory\n\nThe most anonymous memory (RssAnon) of a process that patches once, read every 2 ms.\n\n| model | MB | the process's own time, start of the runtime not included |\n|---|---:|---|\n"
                + string.Join('\n', new[] { inline, external, nodes, small }.Select(subject => Probe(subject, place))));
            report.Write(results, rounds, "Patching at size", "patch-size.md");
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    private static Subject Make(string place, string name, BigModelOptions options)
    {
        var folder = Path.Combine(place, name.Replace(' ', '-').Replace(",", "", StringComparison.Ordinal));
        BigModel.Write(folder, options);
        var model = Workbench.Open(folder);
        var sites = SiteTable.Of(model).Matching(@"model\.layers\.\d+\.self_attn\.o_proj");
        var map = new SteeringMap(sites.Where((_, i) => i % (1 + sites.Length / MaxSites) == 0).Select(site =>
            new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(1.001f, site.Channels)], [.. Enumerable.Repeat(0.0001f, site.Channels)]))));
        map.Save($"{folder}.safetensors");
        Workbench.Shell("sync");
        return new Subject(name, folder, map);
    }

    private static Comparison Against(Subject subject, int rounds)
    {
        var (copy, steered) = ($"{subject.Folder}.copy", $"{subject.Folder}.steered");
        var comparison = SideBySide.Run(subject.Name, rounds,
            ("cp -r, sync", () =>
            {
                Remove(copy);
                Workbench.Shell("cp", "-r", subject.Folder, copy);
                Workbench.Shell("sync", [.. Directory.GetFiles(copy, "*", SearchOption.AllDirectories)]);
            }),
            ("patch", () => Patch(subject, steered, link: false)));
        Remove(copy);
        Remove(steered);
        return comparison;
    }

    private static void Patch(Subject subject, string target, bool link)
    {
        Remove(target);
        var model = Workbench.Open(subject.Folder);
        SteeredFolder.Write(model, Steering.Patch(model, subject.Map), target, new SaveOptions { Link = link });
    }

    private static (string, Action) InMemory(Subject subject)
    {
        var bytes = File.ReadAllBytes(Path.Combine(subject.Folder, BigModel.FileName));
        return ("patch", () =>
        {
            var model = Model.Parse(bytes);
            model.Apply(Steering.Patch(model, subject.Map)).Source.ToArray();
        });
    }

    private static string Probe(Subject subject, string place)
    {
        var target = Path.Combine(place, "probed");
        using var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["probe", subject.Folder, $"{subject.Folder}.safetensors", target]) { RedirectStandardOutput = true })!;
        var lines = process.StandardOutput.ReadToEnd().TrimEnd().Split('\n');
        process.WaitForExit();
        Remove(target);
        Console.WriteLine($"{subject.Name}: {string.Join("; ", lines)}");
        // total N ms, peak N MB
        return $"| {subject.Name} | {lines[^1].Split(' ')[^2]} | {lines[^1].Split(',')[0]} |";
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    private sealed record Subject(string Name, string Folder, SteeringMap Map);
}
