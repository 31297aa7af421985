using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;
using Google.Protobuf;

namespace OnnxSteer.Cli.Tests;

/// <summary>Bad input ends with exit code 3 and one clear message; nothing is written, and the input stays as it was.</summary>
public sealed class BadInputTests
{
    [Fact]
    public void A_file_that_is_no_model_or_cut_short()
    {
        using var folder = new TemporaryFolder();
        var bytes = File.ReadAllBytes(Path.Combine(Cli.Optimum, "model.onnx"));
        File.WriteAllText(folder["text.onnx"], "This is a letter, not a model.\n");
        File.WriteAllBytes(folder["empty.onnx"], []);
        File.WriteAllBytes(folder["cut.onnx"], bytes[..(bytes.Length / 2)]);
        foreach (var name in new[] { "text.onnx", "empty.onnx", "cut.onnx" })
        {
            Refused(folder, name, "inspect", folder[name]);
            Refused(folder, name, "generate", folder[name], "--prompt", "a");
        }
        Refused(folder, "no such file", "inspect", folder["absent"]);
    }

    [SharedFact]
    public void A_folder_of_several_models_names_them()
    {
        using var folder = new TemporaryFolder();
        Refused(folder, Path.Combine("shapes32", "unet"), "inspect", Folders.InShared("models", "diffusion", "shapes32"));
    }

    [Fact]
    public void External_data_missing_out_of_bounds_or_outside_the_folder()
    {
        using var folder = new TemporaryFolder();
        var model = folder["model"];
        CopyFolder(Cli.Genai, model);
        File.Delete(Path.Combine(model, "model.onnx.data"));
        Refused(folder, "model.onnx.data", "patch", model, "--map", Map(folder), "--out", folder["out"]);
        File.WriteAllBytes(Path.Combine(model, "model.onnx.data"), new byte[1000]);
        Refused(folder, "has 1000", "patch", model, "--map", Map(folder), "--out", folder["out"]);
        foreach (var location in new[] { "../outside.data", "/etc/passwd", @"..\outside.data", "a/../../outside.data", @"C:\outside.data" })
        {
            var proto = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(Cli.Genai, "model.onnx")));
            foreach (var tensor in proto.Graph.Initializer)
                foreach (var entry in tensor.ExternalData.Where(entry => entry.Key == "location"))
                    entry.Value = location;
            File.WriteAllBytes(Path.Combine(model, "model.onnx"), proto.ToByteArray());
            File.WriteAllBytes(folder["outside.data"], new byte[1 << 21]);
            Refused(folder, "leads out of the model's folder", "patch", model, "--map", Map(folder), "--out", folder["out"]);
        }
    }

    [Fact]
    public void Maps_that_do_not_fit_or_hold_nonsense()
    {
        using var folder = new TemporaryFolder();
        string Made(string site, float[] w, float[] b)
        {
            SafetensorsWriter.Write(folder["bad.safetensors"], [SafetensorsTensor.Of<float>($"{site}/w", w), SafetensorsTensor.Of<float>($"{site}/b", b)]);
            return folder["bad.safetensors"];
        }
        const string site = "model.layers.0.self_attn.o_proj";
        void Patch(string expected, string map) => Refused(folder, expected, "patch", Cli.Optimum, "--map", map, "--out", folder["out"]);
        Patch("NaN", Made(site, [.. Enumerable.Repeat(1f, 63), float.NaN], new float[64]));
        Patch("64 channels", Made(site, [2, 2], [0, 0]));
        Patch("has no site 'model.layers.9.self_attn.o_proj'", Made("model.layers.9.self_attn.o_proj", [2], [0]));
        Patch("changes nothing", Made(site, [.. Enumerable.Repeat(1f, 64)], new float[64]));
        Refused(folder, "changes nothing", "patch", Cli.Optimum, "--map", Map(folder), "--strength", "0", "--out", folder["out"]);
        Patch("bad.safetensors", Junk(folder["bad.safetensors"]));
        Patch("no such", folder["no such.safetensors"]);
        SafetensorsWriter.Write(folder["twice.safetensors"], new[] { site, "model.layers.0.self_attn" }.SelectMany(name => new[]
        {
            SafetensorsTensor.Of<float>($"{name}/w", Enumerable.Repeat(2f, 64).ToArray()), SafetensorsTensor.Of<float>($"{name}/b", new float[64]),
        }));
        Patch("steers one place twice", folder["twice.safetensors"]);

        static string Junk(string path)
        {
            File.WriteAllText(path, "junk");
            return path;
        }
    }

    [Fact]
    public void Patterns_prompts_and_folders_that_are_not_there()
    {
        using var folder = new TemporaryFolder();
        var prompts = Cli.Prompts(folder, "p.txt", "dog");
        File.WriteAllText(folder["empty.txt"], "\n\n");
        void Fit(string expected, string sites, string source) =>
            Refused(folder, expected, "fit", Cli.Optimum, "--source", source, "--target", prompts, "--sites", sites, "--out", folder["map.safetensors"]);
        Fit("matches none of the 103 sites", "self_attn", prompts);
        Fit("'model.layers.0.self_attn.o_proj'", @"model\.layers\.0\.self_attn\.o_prj", prompts);
        Fit("no regular expression", "(", prompts);
        Fit("no regular expression", "zzz)|(?:model.norm", prompts);
        Fit("no value 'nowhere'", "value:nowhere", prompts);
        Fit("empty.txt", ".*o_proj", folder["empty.txt"]);
        Fit("absent.txt", ".*o_proj", folder["absent.txt"]);
        Fit("changes nothing", ".*o_proj", prompts);
        Directory.CreateDirectory(folder["two"]);
        foreach (var name in new[] { "a.onnx", "b.onnx" })
            File.Copy(Path.Combine(Cli.Optimum, "model.onnx"), folder["two", name]);
        Refused(folder, "a.onnx, b.onnx", "inspect", folder["two"]);
    }

    [Fact]
    public void Output_folders_that_must_not_be_written()
    {
        using var folder = new TemporaryFolder();
        var (map, model) = (Map(folder), folder["model"]);
        CopyFolder(Cli.Optimum, model);
        Directory.CreateSymbolicLink(folder["link"], model);
        File.WriteAllText(folder["file"], "");
        Directory.CreateDirectory(folder["full"]);
        void Patch(string expected, string target) => Refused(folder, expected, "patch", model, "--map", map, "--out", target);
        Patch("own folder", model);
        Patch("own folder", folder["link"]);
        Patch("inside the source", Path.Combine(model, "steered"));
        Patch("inside the source", folder["link", "steered"]);
        Patch("use --force", folder["full"]);
        Patch("is a file", folder["file"]);
        Patch("cannot be written", folder["file", "below"]);
        Refused(folder, "lies inside it", "patch", model, "--map", map, "--force", "--out", folder.Path);
        Cli.Done("patch", model, "--map", map, "--force", "--out", folder["full"]);
        Assert.True(File.Exists(folder["full", "model.onnx"]));
    }

    [Fact]
    public void Results_are_not_written_over_what_they_are_made_of()
    {
        using var folder = new TemporaryFolder();
        var (prompts, model) = (Cli.Prompts(folder, "p.txt", "dog"), folder["model"]);
        CopyFolder(Cli.Genai, model);
        File.CreateSymbolicLink(folder["link"], prompts);
        foreach (var output in new[] { prompts, folder["link"], Path.Combine(model, "model.onnx"), Path.Combine(model, "model.onnx.data"), Path.Combine(model, "tokenizer.json") })
        {
            Refused(folder, "never written to", "capture", model, "--prompts", prompts, "--sites", "model.norm", "--out", output);
            Refused(folder, "never written to", "fit", model, "--source", prompts, "--target", prompts, "--sites", "model.norm", "--out", output);
            Refused(folder, "never written to", "run", model, "--inputs", prompts, "--outputs", output);
        }
    }

    [Fact]
    public void Token_ids_that_the_model_does_not_know_and_prompts_beyond_its_context()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["ids.jsonl"], "{\"ids\": [1, 5]}\n{\"ids\": [1, 512]}\n");
        File.WriteAllText(folder["long.jsonl"], $"{{\"ids\": [{string.Join(',', Enumerable.Repeat(5, 513))}]}}\n");
        Refused(folder, "Prompt 2 has the token id 512", "capture", Cli.Genai, "--prompts", folder["ids.jsonl"], "--sites", "model.norm", "--out", folder["a.safetensors"]);
        Refused(folder, "Prompt 2 has the token id 512", "generate", Cli.Genai, "--prompts", folder["ids.jsonl"]);
        Refused(folder, "Prompt 1 has 513 tokens", "capture", Cli.Genai, "--prompts", folder["long.jsonl"], "--max-tokens", "2000", "--sites", "model.norm", "--out", folder["a.safetensors"]);
    }

    [Fact]
    public void A_folder_that_cannot_be_written_to()
    {
        using var folder = new TemporaryFolder();
        if (OperatingSystem.IsLinux() && Directory.Exists("/proc/self"))
            Refused(folder, "cannot be written", "patch", Cli.Optimum, "--map", Map(folder), "--out", "/proc/self/onnxsteer-test");
    }

    [Fact]
    public void Nothing_to_unpatch_and_a_patched_model_that_something_changed()
    {
        using var folder = new TemporaryFolder();
        Refused(folder, "no patch to remove", "unpatch", Cli.Optimum, "--out", folder["out"]);
        var map = Map(folder);
        Cli.Done("patch", Cli.Optimum, "--map", map, "--out", folder["steered"]);
        var path = folder["steered", "model.onnx"];
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.AsSpan().IndexOf("pytorch"u8)]++;
        File.WriteAllBytes(path, bytes);
        Refused(folder, "was changed since", "unpatch", folder["steered"], "--out", folder["out"]);
    }

    [Fact]
    public void Cancelling_leaves_nothing_behind()
    {
        using var folder = new TemporaryFolder();
        var map = Map(folder);
        var before = Cli.Snapshot(folder.Path);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        foreach (var args in new string[][]
        {
            ["patch", Cli.Optimum, "--map", map, "--out", folder["out"]],
            ["capture", Cli.Optimum, "--prompts", folder["source.txt"], "--sites", ".*o_proj", "--out", folder["a.safetensors"]],
            ["generate", Cli.Optimum, "--prompt", "a"],
        })
        {
            var call = Cli.Run(cancelled.Token, args);
            Assert.Equal(130, call.ExitCode);
            Assert.Equal(before, Cli.Snapshot(folder.Path));
        }
    }

    private static string Map(TemporaryFolder folder) => File.Exists(folder["map.safetensors"]) ? folder["map.safetensors"] : Cli.FitMap(folder);

    private static void Refused(TemporaryFolder folder, string expected, params string[] args)
    {
        var before = Cli.Snapshot(folder.Path);
        var models = Cli.Snapshot(Folders.Models);
        var call = Cli.Run(args);
        Assert.True(call.ExitCode == 3, $"{call.ExitCode}: {call.Out}{call.Error}");
        Assert.Contains(expected, call.Error);
        Assert.Single(call.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => !line.StartsWith("warning: ", StringComparison.Ordinal));
        Assert.Equal("", call.Out);
        Assert.Equal(before, Cli.Snapshot(folder.Path));
        Assert.Equal(models, Cli.Snapshot(Folders.Models));
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }
}
