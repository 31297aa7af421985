using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary><c>import</c> and <c>export</c>.</summary>
public sealed class ExchangeTests
{
    [Theory]
    [InlineData("vector.gguf", "gguf")]
    [InlineData("vectors.safetensors", "steering-vectors")]
    public void A_fitted_map_goes_out_and_comes_back(string name, string format)
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder, @"model\.layers\.[1-3]", "--method", "mean");
        Assert.Equal(3, Cli.Done("export", map, "--model", Cli.Optimum, "--out", folder[name], "--json").Json.GetProperty("vectors").GetInt32());
        var json = Cli.Done("import", folder[name], "--model", Cli.Optimum, "--label", "girls", "--out", folder["back.safetensors"], "--json").Json;
        Assert.StartsWith($"{format} {name}, sha256 ", json.GetProperty("provenance").GetProperty("madeFrom").GetString());
        Assert.Equal(["model.layers.1", "model.layers.2", "model.layers.3"], json.GetProperty("sites").EnumerateArray().Select(site => site.GetString()));
        var back = SteeringMap.Load(folder["back.safetensors"]);
        Assert.Equal(SteeringMap.Load(map).Sites.AsEnumerable(), back.Sites);
        Assert.Equal("girls", back.Provenance.Label);
        // The model's own fingerprint, so that no force is needed.
        Cli.Done("patch", Cli.Optimum, "--map", folder["back.safetensors"], "--out", folder["steered"]);
        var refused = Cli.Run("patch", Cli.Genai, "--map", folder["back.safetensors"], "--out", folder["other"]);
        Assert.Equal(3, refused.ExitCode);
        Assert.Contains("fitted on another model", refused.Error);
    }

    [Fact]
    public void What_cannot_be_taken_ends_with_3_and_writes_nothing()
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder, @"model\.layers\.[0-1]", "--method", "mean");
        File.WriteAllBytes(folder["vector.gguf"], new GgufBytes().Of((1, [.. Enumerable.Repeat(1f, 64)]), (9, [.. Enumerable.Repeat(1f, 64)])));
        void Refused(string expected, params string[] args)
        {
            var call = Cli.Run([.. args, "--model", Cli.Optimum, "--out", folder["out.gguf"]]);
            Assert.Equal(3, call.ExitCode);
            Assert.Contains(expected, call.Error);
            Assert.False(File.Exists(folder["out.gguf"]));
        }
        Refused("coefficient is 0", "import", folder["vector.gguf"], "--coefficient", "0", "--layers", "1");
        Refused("is for block 9", "import", folder["vector.gguf"]);
        Refused("no vector for the layers 3-4", "import", folder["vector.gguf"], "--layers", "3-4");
        Refused("is no GGUF file", "import", map, "--format", "gguf");
        Refused("needs no import", "import", map);
        Refused("options of ml-act", "import", folder["vector.gguf"], "--band", "q_all");
        Refused("cannot hold a vector for block 0", "export", map);
        Refused("from 3 to 4; it has 'model.layers.0'", "export", map, "--layers", "3-4");
        Assert.Equal(3, Cli.Run("import", folder["vector.gguf"], "--model", Cli.Optimum, "--layers", "1", "--out", folder["vector.gguf"]).ExitCode);
    }

    [Theory]
    [InlineData("import", "x.gguf", "--model", "M", "--out", "y", "--layers", "4-2")]
    [InlineData("import", "x.gguf", "--model", "M", "--out", "y", "--format", "pickle")]
    [InlineData("import", "x.gguf", "--out", "y")]
    [InlineData("import", "x.gguf", "--model", "M", "--out", "y", "--coefficient", "much")]
    [InlineData("export", "x.safetensors", "--model", "M", "--out", "y.gguf", "--format", "ml-act")]
    public void Wrong_usage_ends_with_2(params string[] args) =>
        Assert.Equal(2, Cli.Run([.. args.Select(arg => arg == "M" ? Cli.Optimum : arg)]).ExitCode);

    [Fact]
    public void The_outputs_name_tells_the_format_or_nothing_does()
    {
        using var folder = new TemporaryFolder();
        var map = Cli.FitMap(folder, @"model\.layers\.1", "--method", "mean");
        var call = Cli.Run("export", map, "--model", Cli.Optimum, "--out", folder["vector"]);
        Assert.Equal(2, call.ExitCode);
        Assert.Contains("--format", call.Error);
        Cli.Done("export", map, "--model", Cli.Optimum, "--format", "gguf", "--out", folder["vector"]);
        Assert.Equal("GGUF"u8.ToArray(), File.ReadAllBytes(folder["vector"])[..4]);
    }
}
