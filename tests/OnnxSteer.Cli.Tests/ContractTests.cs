using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>What scripts outside this repository rely on.</summary>
public sealed class ContractTests
{
    [Fact]
    public void Inspect_describes_the_model_and_its_sites()
    {
        var json = Cli.Done("inspect", Cli.Genai, "--json").Json;
        Assert.Equal("genai", json.GetProperty("dialect").GetString());
        Assert.Equal(22, json.GetProperty("opset").GetInt32());
        Assert.Equal("float32", json.GetProperty("precision").GetString());
        foreach (var part in new[] { "places", "graph", "weights" })
            Assert.Equal(32, json.GetProperty("fingerprint").GetProperty(part).GetString()!.Length);
        var sites = json.GetProperty("sites").EnumerateArray().ToDictionary(site => site.GetProperty("site").GetString()!);
        var packed = sites["model.layers.3.self_attn.k_proj"];
        Assert.Equal("/model/layers.3/attn/qkv_proj/MatMul/output_0", packed.GetProperty("value").GetString());
        var place = Assert.Single(packed.GetProperty("places").EnumerateArray().ToList());
        Assert.Equal([128, 192], place.GetProperty("range").EnumerateArray().Select(end => end.GetInt32()));
        Assert.Equal("after", place.GetProperty("hook").GetString());
        Assert.Equal("main", place.GetProperty("graph").GetString());
        Assert.Equal(64, packed.GetProperty("channels").GetInt32());
        Assert.Equal(-1, packed.GetProperty("channelAxis").GetInt32());
        Assert.Contains("layers.3.self_attn.k_proj", packed.GetProperty("aliases").EnumerateArray().Select(alias => alias.GetString()));
        Assert.Equal("unfuse", sites["model.layers.0"].GetProperty("places")[0].GetProperty("hook").GetString());
        Assert.Empty(json.GetProperty("maps").EnumerateArray());
    }

    [Fact]
    public void Inspect_shows_a_person_the_sites_by_layer()
    {
        var text = Cli.Done("inspect", Cli.Optimum).Out;
        Assert.Contains("torchscript", text);
        // The token embedding stands in the file twice: once for the head.
        Assert.Contains($"{260_032 + 512 * 64:N0} parameters, float32", text);
        Assert.Matches(@"model\.layers\.N\.self_attn\.o_proj +0-4 +64 +float32 +after +model\.layers\.N\.self_attn", text);
    }

    [Fact]
    public void Tokenize_shows_ids_tokens_and_offsets_and_turns_ids_into_text()
    {
        using var folder = new TemporaryFolder();
        var row = Assert.Single(Cli.Done("tokenize", Cli.Optimum, "--text", "Tom was", "--json").Json.EnumerateArray().ToList());
        var (ids, offsets) = (row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToList(), row.GetProperty("offsets").EnumerateArray().Select(end => end.GetInt32()).ToList());
        Assert.Equal((1, ids.Count, 2 * ids.Count, 7), (ids[0], row.GetProperty("tokens").GetArrayLength(), offsets.Count, offsets[^1]));
        var plain = Cli.Done("tokenize", Cli.Optimum, "--text", "Tom was", "--no-special", "--json").Json[0].GetProperty("ids").EnumerateArray().Select(id => id.GetInt32());
        Assert.Equal(ids.Skip(1), plain);
        File.WriteAllText(folder["ids.jsonl"], $"{{\"ids\":[{string.Join(',', ids)}]}}\n");
        Assert.Equal("Tom was", Cli.Done("tokenize", Cli.Optimum, "--decode", "--file", folder["ids.jsonl"], "--json").Json[0].GetProperty("text").GetString());
        Assert.Equal("Tom was", Cli.Done("tokenize", Cli.Optimum, "--decode", "--ids", string.Join(',', ids)).Out.TrimEnd());
        Assert.Matches(@"1 +0-0 +<s>", Cli.Done("tokenize", Cli.Optimum, "--text", "Tom was").Out);
    }

    [Fact]
    public void Capture_writes_a_matrix_for_each_site_in_the_order_of_the_prompts()
    {
        using var folder = new TemporaryFolder();
        var prompts = Cli.Prompts(folder, "p.txt", "dog");
        Cli.Done("capture", Cli.Optimum, "--prompts", prompts, "--sites", @"model\.layers\.[01]\.mlp", "--pooling", "max", "--out", folder["a.safetensors"]);
        File.WriteAllLines(folder["reversed.txt"], File.ReadAllLines(prompts).Reverse());
        Cli.Done("capture", Cli.Optimum, "--prompts", folder["reversed.txt"], "--sites", @"model\.layers\.[01]\.mlp", "--pooling", "max", "--batch", "3", "--out", folder["b.safetensors"]);
        using var a = SafetensorsFile.Open(folder["a.safetensors"]);
        using var b = SafetensorsFile.Open(folder["b.safetensors"]);
        Assert.Equal(["model.layers.0.mlp", "model.layers.1.mlp"], a.Tensors.Select(tensor => tensor.Name));
        foreach (var tensor in a.Tensors)
        {
            var (first, second) = (a.ReadMatrix(tensor.Name), b.ReadMatrix(tensor.Name));
            Assert.Equal((8, 64), (first.Rows, first.Columns));
            for (var row = 0; row < 8; row++)
                for (var channel = 0; channel < 64; channel++)
                    Assert.Equal(first[row, channel], second[7 - row, channel], 1e-4);
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("mean")]
    public void Fit_patch_generate_unpatch_go_the_whole_way(string method)
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder, ".*o_proj", "--method", method, "--band", "q_all");
        var steered = folder["steered"];
        Cli.Done("patch", Cli.Optimum, "--map", map, "--mode", "live", "--strength", "0", "--out", steered);
        string Text(string model, params string[] more) =>
            Cli.Done(["generate", model, "--prompt", "One day, Tom", "--max-new", "30", "--greedy", "--json", .. more]).Json[0].GetProperty("text").GetString()!;
        Assert.Equal(Text(Cli.Optimum), Text(steered));
        Assert.NotEqual(Text(steered), Text(steered, "--strength", "3"));
        Cli.Done("patch", Cli.Optimum, "--map", map, "--strength", "3", "--out", folder["baked"]);
        Assert.Equal(Text(folder["baked"]), Text(steered, "--strength", "3"));
        Assert.Single(Cli.Done("inspect", steered, "--json").Json.GetProperty("maps").EnumerateArray().ToList());
        Cli.Done("unpatch", steered, "--out", folder["back"]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Cli.Optimum, "model.onnx")), File.ReadAllBytes(folder["back", "model.onnx"]));
        Assert.Equal(Directory.GetFiles(Cli.Optimum).Select(Path.GetFileName).Order(), Directory.GetFiles(folder["back"]).Select(Path.GetFileName).Order());
    }

    [Theory]
    [InlineData("linear", "mean", "q_0_100", null)]
    [InlineData("mean", "mean", "q_all", null)]
    [InlineData("gaussian", "mean", "q_all", null)]
    [InlineData("aura", "max", "q_all", null)]
    [InlineData("det-zero", "mean", "q_all", "units=3", "--units", "3")]
    [InlineData("caa", "last", "q_all", "coefficient=0.1", "--coefficient", "0.1")]
    [InlineData("itim", "last", "q_all", "alpha=15 heads=2", "--heads", "2")]
    [InlineData("itic", "last", "q_all", "alpha=3 heads=48", "--alpha", "3")]
    [InlineData("pca", "mean", "q_all", "coefficient=1")]
    public void Each_method_has_its_own_pooling_band_and_options(string method, string pooling, string band, string? settings, params string[] options)
    {
        using var folder = new TemporaryFolder();
        var sites = method.StartsWith("iti", StringComparison.Ordinal) ? ".*heads.*" : ".*o_proj";
        string[] call = ["fit", Cli.Optimum, "--source", Cli.Prompts(folder, "s.txt", "dog"), "--target", Cli.Prompts(folder, "t.txt", "girl"), "--sites", sites, "--method", method, "--out", folder["map"], "--report", folder["fit.html"]];
        var json = Cli.Done([.. call, .. options, "--json"]).Json;
        var provenance = SteeringMap.Load(folder["map"]).Provenance;
        Assert.Equal((method, pooling, band, settings), (provenance.Method, provenance.Pooling, provenance.Band, provenance.Settings));
        var rows = json.GetProperty("sites").EnumerateArray().ToList();
        Assert.Equal(rows.Count, json.GetProperty("advice").GetArrayLength());
        Assert.All(rows, row => Assert.InRange(row.GetProperty("separability").GetProperty("auroc").GetDouble(), 0, 1));
        Assert.All(rows, row => Assert.True(row.GetProperty("heldOut").GetProperty("distanceAfter").GetDouble() >= 0));
        if (options is ["--heads", "2"])
            Assert.Equal((2, 40), (SteeringMap.Load(folder["map"]).Sites.Length, rows.Count));
        var page = File.ReadAllText(folder["fit.html"]);
        Assert.Contains(rows[0].GetProperty("site").GetString()!, page);
        Assert.DoesNotMatch("<script|src=|href=|NaN|Infinity", page);
        var table = Cli.Done([.. call, .. options]).Out;
        Assert.Contains("AUROC", table);
        // What the method does not take is refused.
        foreach (var other in new[] { "--coefficient", "--alpha", "--heads", "--units" }.Where(other => settings?.Contains(other[2..]) != true))
        {
            var refused = Cli.Run([.. call, other, "2"]);
            Assert.Equal(2, refused.ExitCode);
            Assert.Contains($"{other} is no option of the method '{method}'", refused.Error);
        }
    }

    [Fact]
    public void Act_add_takes_one_pair()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["s.txt"], "I hate you");
        File.WriteAllText(folder["t.txt"], "I love you");
        string[] call = ["fit", Cli.Optimum, "--target", folder["t.txt"], "--sites", @"model\.layers\.2", "--method", "actadd", "--out", folder["map"], "--report", folder["fit.html"]];
        Assert.Contains("too few to hold any out", Cli.Done([.. call, "--source", folder["s.txt"]]).Out);
        Assert.True(File.Exists(folder["fit.html"]));
        var refused = Cli.Run([.. call, "--source", Cli.Prompts(folder, "many.txt", "dog")]);
        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("one pair", refused.Error);
        Assert.Contains("RePE, EAST and LinEAS are not implemented", Cli.Done("fit", "--help").Out.ReplaceLineEndings(" ").Replace("  ", "", StringComparison.Ordinal));
    }

    [Fact]
    public void Generate_gives_text_ids_and_why_it_ended_for_each_prompt()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["p.jsonl"], """
            {"text": "Once upon a time"}
            {"ids": [1, 403, 407]}
            """);
        var rows = Cli.Done("generate", Cli.Genai, "--prompts", folder["p.jsonl"], "--max-new", "7", "--greedy", "--json").Json;
        Assert.Equal(2, rows.GetArrayLength());
        foreach (var row in rows.EnumerateArray())
        {
            Assert.Equal(7, row.GetProperty("ids").GetArrayLength());
            Assert.Equal("length", row.GetProperty("finish").GetString());
            Assert.NotEqual("", row.GetProperty("text").GetString());
        }
    }

    [Fact]
    public void Sampling_repeats_with_its_seed_and_differs_without()
    {
        string Text(string seed) => Cli.Done("generate", Cli.Genai, "--prompt", "Tom", "--max-new", "20", "--temperature", "1", "--seed", seed).Out;
        Assert.Equal(Text("5"), Text("5"));
        Assert.NotEqual(Text("5"), Text("6"));
    }

    [Fact]
    public void Run_writes_outputs_and_taps()
    {
        using var folder = new TemporaryFolder();
        SafetensorsWriter.Write(folder["in.safetensors"], [SafetensorsTensor.Of<long>("input_ids", [1, 5, 6, 7, 1, 8, 9, 10], [2, 4])]);
        Cli.Done("run", Cli.Genai, "--inputs", folder["in.safetensors"], "--outputs", folder["out.safetensors"], "--tap", @"model\.layers\.4", @"model\.layers\.0\.self_attn\.v_proj");
        using var file = SafetensorsFile.Open(folder["out.safetensors"]);
        Assert.Equal([2, 4, 512], file["logits"].Shape.ToArray());
        Assert.Equal([2, 4, 64], file["model.layers.4"].Shape.ToArray());
        Assert.Equal([2, 4, 64], file["model.layers.0.self_attn.v_proj"].Shape.ToArray());
        Assert.Equal([2, 4, 4, 16], file["present.2.key"].Shape.ToArray());
    }

    [Fact]
    public void Patch_of_a_labelled_map_names_its_dial_and_maps_compose()
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder, ".*o_proj", "--label", "dogs");
        Cli.Done("patch", Cli.Optimum, "--map", map, "--mode", "live", "--out", folder["one"]);
        Cli.Done("patch", folder["one"], "--map", map, "--mode", "live", "--label", "more", "--strength", "0", "--out", folder["two"]);
        string Text(string model, params string[] more) => Cli.Done(["generate", model, "--prompt", "One day", "--max-new", "20", .. more]).Out;
        Assert.Equal(Text(folder["one"]), Text(folder["two"]));
        Assert.Equal(Text(Cli.Optimum), Text(folder["two"], "--strength", "dogs=0"));
        Assert.Equal(Text(folder["one"], "--strength", "dogs=2.5"), Text(folder["two"], "--strength", "dogs=2.5", "--strength", "more=0"));
        Assert.Equal(3, Cli.Run("generate", folder["two"], "--prompt", "x", "--strength", "1").ExitCode);
        Assert.Equal(2, Cli.Done("unpatch", folder["two"], "--all", "--out", folder["back"], "--json").Json.GetProperty("removed").GetArrayLength());
        Assert.Equal(File.ReadAllBytes(Path.Combine(Cli.Optimum, "model.onnx")), File.ReadAllBytes(folder["back", "model.onnx"]));
    }

    [Fact]
    public void Diff_lists_what_a_patch_did_and_is_quiet_about_equal_models()
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder);
        Cli.Done("patch", Cli.Optimum, "--map", map, "--strength", "0.5", "--out", folder["steered"]);
        var text = Cli.Run("diff", Cli.Optimum, folder["steered"]);
        Assert.Equal(1, text.ExitCode);
        Assert.Contains("+ metadata onnxsteer.patch.1: {", text.Out);
        Assert.Contains("~ node /model/layers.0/self_attn/o_proj/MatMul: output 0: /model/layers.0/self_attn/o_proj/MatMul_output_0 -> /model/layers.0/self_attn/o_proj/MatMul_output_0__onnxsteer1", text.Out);
        Assert.Contains("+ initializer /model/layers.4/self_attn/o_proj/MatMul.scale__onnxsteer1: float32[64]", text.Out);
        Assert.Matches(@"56 differences: 1 metadata added, 20 initializer added, 5 node changed, 30 node added", text.Out);
        var json = Cli.Run("diff", Cli.Optimum, folder["steered"], "--json").Json;
        Assert.False(json.GetProperty("equal").GetBoolean());
        var added = json.GetProperty("differences").EnumerateArray().Where(difference => difference.GetProperty("kind").GetString() == "node" && difference.GetProperty("change").GetString() == "added");
        Assert.Equal(30, added.Count());
        Cli.Done("unpatch", folder["steered"], "--link", "--out", folder["back"]);
        Assert.Contains("nothing differs", Cli.Done("diff", Cli.Optimum, folder["back"]).Out);
        Assert.Equal(3, Cli.Run("diff", Cli.Optimum, folder["nowhere"]).ExitCode);
        Assert.Equal(2, Cli.Run("diff", Cli.Optimum).ExitCode);
    }

    [Fact]
    public void A_map_goes_knowingly_into_another_export()
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder);
        var refused = Cli.Run("patch", Cli.Genai, "--map", map, "--out", folder["out"]);
        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("fitted on another model", refused.Error);
        Assert.False(Directory.Exists(folder["out"]));
        Cli.Done("patch", Cli.Genai, "--map", map, "--strength", "2", "--force", "--out", folder["out"]);
        Cli.Done("patch", Cli.Optimum, "--map", map, "--strength", "2", "--out", folder["same"]);
        string Text(string model) => Cli.Done("generate", model, "--prompt", "Once upon a time", "--max-new", "40").Out;
        Assert.Equal(Text(folder["same"]), Text(folder["out"]));
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("capture")]
    [InlineData("fit")]
    [InlineData("patch")]
    [InlineData("unpatch")]
    [InlineData("generate")]
    [InlineData("run")]
    [InlineData("import")]
    [InlineData("export")]
    [InlineData("demo")]
    public void Every_command_has_help_and_refuses_what_it_does_not_know(string command)
    {
        var help = Cli.Done(command, "--help");
        Assert.Contains("--json", help.Out);
        var unknown = Cli.Run(command, "--no-such-option");
        Assert.Equal(2, unknown.ExitCode);
        Assert.Contains("--no-such-option", unknown.Error);
        Assert.Empty(unknown.Out);
    }

    [Theory]
    [InlineData("generate", "M")]
    [InlineData("generate", "M", "--prompt", "a", "--greedy", "--seed", "1")]
    [InlineData("generate", "M", "--prompt", "a", "--max-new", "0")]
    [InlineData("fit", "M", "--source", "a", "--target", "b", "--sites", "c", "--out", "d", "--method", "repe")]
    [InlineData("fit", "M", "--source", "a", "--target", "b", "--sites", "c", "--out", "d", "--pooling", "first")]
    [InlineData("fit", "M", "--source", "a", "--target", "b", "--sites", "c", "--out", "d", "--method", "itim", "--heads", "0")]
    [InlineData("fit", "M", "--source", "a", "--target", "b", "--sites", "c", "--out", "d", "--method", "caa", "--coefficient", "nan")]
    [InlineData("generate", "M", "--prompt", "a", "--strength", "much")]
    [InlineData("patch", "M", "--map", "x", "--out", "y", "--mode", "melted")]
    [InlineData("patch", "M", "--map", "x", "--out", "y", "--strength", "strong")]
    [InlineData("patch", "M", "--map", "x", "--out", "y", "--strength", "1,5")]
    [InlineData("patch", "M", "--map", "x", "--out", "y", "--strength", "nan")]
    [InlineData("generate", "M", "--prompt", "a", "--temperature", "0,7")]
    [InlineData("")]
    public void Wrong_usage_ends_with_2(params string[] args)
    {
        var call = Cli.Run(args);
        Assert.Equal(2, call.ExitCode);
        Assert.NotEqual("", call.Error);
    }
}
