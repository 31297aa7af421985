using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>Which prompts, and which of their tokens, a fit and a capture take.</summary>
public sealed class DataTests
{
    private const string Sites = @"model\.layers\.[12]\.self_attn\.o_proj";

    [Fact]
    public void One_labelled_file_fits_what_two_files_do()
    {
        using var folder = new TemporaryFolder();
        var (source, target) = (File.ReadAllLines(Cli.Prompts(folder, "source.txt", "dog")), File.ReadAllLines(Cli.Prompts(folder, "target.txt", "girl")));
        var rows = source.Zip(target).SelectMany(pair => new[] { ("0", pair.First), ("yes", pair.Second), ("other", "Nothing.") }).ToList();
        File.WriteAllLines(folder["all.jsonl"], rows.Select(row => row.Item1 == "0" ? $"{{\"text\": {JsonSerializer.Serialize(row.Item2)}, \"kind\": 0}}" : $"{{\"text\": {JsonSerializer.Serialize(row.Item2)}, \"kind\": \"{row.Item1}\"}}"));
        File.WriteAllLines(folder["all.csv"], rows.Select(row => $"{row.Item1},{row.Item2}").Prepend("label,text"));
        var expected = Fit(folder, "--source", folder["source.txt"], "--target", folder["target.txt"]);
        Assert.Equal(expected, Fit(folder, "--data", folder["all.jsonl"], "--label-column", "kind", "--source-label", "0", "--target-label", "yes"));
        Assert.Equal(expected, Fit(folder, "--data", folder["all.csv"], "--source-label", "0", "--target-label", "yes"));
        Refused(3, "'other' (8)", "--data", folder["all.csv"], "--source-label", "0", "--target-label", "absent");
        Refused(3, "no column 'kind'", "--data", folder["all.csv"], "--label-column", "kind", "--source-label", "0", "--target-label", "yes");
        Refused(3, "'nothing' is missing", "--data", folder["all.jsonl"], "--label-column", "nothing", "--source-label", "0", "--target-label", "yes");
        Refused(2, "--source-label", "--data", folder["all.csv"]);
        Refused(2, "--target FILE", "--source", folder["source.txt"]);
        Refused(2, "two different labels", "--data", folder["all.csv"], "--source-label", "0", "--target-label", "0");
    }

    [Fact]
    public void Completions_alone_are_pooled()
    {
        using var folder = new TemporaryFolder();
        // <s> and the tokens of either text: what counts is told by the ids.
        File.WriteAllLines(folder["ids.jsonl"], ["{\"prompt\": [1, 403, 407], \"ids\": [261, 378, 432]}", "{\"prompt\": [1, 5, 6, 7, 8], \"ids\": [9]}"]);
        File.WriteAllLines(folder["whole.jsonl"], ["{\"ids\": [1, 403, 407, 261, 378, 432]}", "{\"ids\": [1, 5, 6, 7, 8, 9]}"]);
        // The last token of either is the completion's.
        Close(Capture(folder, "whole.jsonl", "--pooling", "last"), Capture(folder, "ids.jsonl", "--pooling", "last"));
        Close(Capture(folder, "whole.jsonl", "--pooling", "last"), Capture(folder, "ids.jsonl", "--tokens", "-1:"));
        Close(Capture(folder, "whole.jsonl", "--tokens", "-1:"), Capture(folder, "ids.jsonl", "--tokens", "-1:"));
        Assert.NotEqual(Capture(folder, "whole.jsonl"), Capture(folder, "ids.jsonl"));
        // Text: a completion's tokens are those that reach beyond the prompt.
        File.WriteAllLines(folder["text.jsonl"], ["{\"prompt\": \"Once upon a time\", \"completion\": \", there was a dog.\"}"]);
        File.WriteAllLines(folder["joined.jsonl"], ["{\"text\": \"Once upon a time, there was a dog.\"}"]);
        Close(Capture(folder, "joined.jsonl", "--pooling", "last"), Capture(folder, "text.jsonl", "--pooling", "last"));
        Assert.NotEqual(Capture(folder, "joined.jsonl"), Capture(folder, "text.jsonl"));
        using var file = SafetensorsFile.Open(folder["text.jsonl.safetensors"]);
        Assert.Equal("completion", file.Metadata["tokens"]);
        Refused(3, "The prompt in line 2 has no token left to pool: of its 6 tokens the completion has those from 5 to before 6, the first 4 are kept", "--source", folder["ids.jsonl"], "--target", folder["ids.jsonl"], "--max-tokens", "4");
        File.WriteAllLines(folder["both.jsonl"], ["{\"text\": \"a\", \"completion\": \"b\"}"]);
        Refused(3, "both 'text' and 'completion'", "--source", folder["both.jsonl"], "--target", folder["ids.jsonl"]);
    }

    [Fact]
    public void Ranges_and_the_first_token()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder["a.jsonl"], ["{\"ids\": [1, 403, 407, 261, 378, 432]}", "{\"ids\": [1, 5, 6]}"]);
        File.WriteAllLines(folder["cut.jsonl"], ["{\"ids\": [1, 403]}", "{\"ids\": [1, 5]}"]);
        Close(Capture(folder, "cut.jsonl"), Capture(folder, "a.jsonl", "--tokens", "0:2"));
        Close(Capture(folder, "a.jsonl", "--skip-first"), Capture(folder, "a.jsonl", "--tokens", "1:"));
        Close(Capture(folder, "cut.jsonl", "--skip-first", "--pooling", "max"), Capture(folder, "a.jsonl", "--tokens", ":2", "--skip-first", "--pooling", "min"));
        Close(Capture(folder, "a.jsonl"), Capture(folder, "a.jsonl", "--tokens", "-100:100"));
        File.WriteAllLines(folder["single.jsonl"], ["{\"ids\": [1]}"]);
        Refused(3, "and the first token is skipped", "--source", folder["single.jsonl"], "--target", folder["a.jsonl"], "--skip-first");
        Refused(3, "of which --tokens 4: takes 0", "--source", folder["a.jsonl"], "--target", folder["a.jsonl"], "--tokens", "4:");
        foreach (var bad in new[] { "5", "a:b", "3:3", "-1:-4", "1:2:3", "1.5:" })
            Refused(3, "is no range of tokens", "--source", folder["a.jsonl"], "--target", folder["a.jsonl"], "--tokens", bad);
    }

    [Fact]
    public void Draws_balance_and_weights()
    {
        using var folder = new TemporaryFolder();
        var (source, target) = (Cli.Prompts(folder, "source.txt", "dog"), Cli.Prompts(folder, "target.txt", "girl"));
        File.WriteAllLines(folder["short.txt"], File.ReadLines(target).Take(5));
        JsonElement Drawn(params string[] more) => Cli.Done(["fit", Cli.Optimum, "--source", source, "--target", folder["short.txt"], "--sites", Sites, "--out", folder["m.safetensors"], "--json", .. more]).Json;
        (int, int) Counts(JsonElement json) => (json.GetProperty("source").GetProperty("prompts").GetInt32(), json.GetProperty("target").GetProperty("prompts").GetInt32());
        Assert.Equal((8, 5), Counts(Drawn()));
        Assert.Equal((5, 5), Counts(Drawn("--balance")));
        Assert.Equal((3, 3), Counts(Drawn("--max-samples", "3")));
        string Digest(params string[] more) => Drawn(more).GetProperty("provenance").GetProperty("sourceDigest").GetString()!;
        Assert.Equal(Digest("--max-samples", "3", "--seed", "4"), Digest("--max-samples", "3", "--seed", "4"));
        Assert.True(Enumerable.Range(0, 5).Select(seed => Digest("--max-samples", "3", "--seed", $"{seed}")).Distinct().Count() > 1);
        // A weight of three is three equal rows, computed once.
        File.WriteAllLines(folder["weighted.jsonl"], ["{\"text\": \"One dog.\", \"n\": 1}", "{\"text\": \"The red ball.\", \"n\": 3}"]);
        File.WriteAllLines(folder["repeated.jsonl"], ["{\"text\": \"One dog.\"}", .. Enumerable.Repeat("{\"text\": \"The red ball.\"}", 3)]);
        Close(Capture(folder, "repeated.jsonl"), Capture(folder, "weighted.jsonl", "--weight-column", "n"));
        foreach (var bad in new[] { "0", "-1", "1.5", "\"x\"", "1e9" })
        {
            File.WriteAllText(folder["weighted.jsonl"], $"{{\"text\": \"One dog.\", \"n\": {bad}}}\n");
            Refused(3, "has the weight", "--source", folder["weighted.jsonl"], "--target", target, "--weight-column", "n");
        }
    }

    [Fact]
    public void What_was_captured_fits_what_prompts_do_and_NaN_is_named()
    {
        using var folder = new TemporaryFolder();
        var (source, target) = (Cli.Prompts(folder, "source.txt", "dog"), Cli.Prompts(folder, "target.txt", "girl"));
        foreach (var path in new[] { source, target })
            Cli.Done("capture", Cli.Optimum, "--prompts", path, "--sites", ".*o_proj", "--out", $"{path}.safetensors");
        Assert.Equal(Fit(folder, "--source", source, "--target", target), Fit(folder, "--source", $"{source}.safetensors", "--target", $"{target}.safetensors"));
        Refused(2, "--balance", "--source", $"{source}.safetensors", "--target", target, "--balance");
        Refused(3, "is a folder without plan.json", "--source", folder.Path, "--target", target);
        var set = ActivationSet.Load($"{source}.safetensors");
        new ActivationSet(set.Sites.Select(site => new SiteActivations(site.Site, Matrix.Of(site.Values.Rows, site.Values.Columns, [float.NaN, .. site.Values.Values[1..]]))), set.Origin).Save(folder["nan.safetensors"]);
        Refused(3, "sample 0, channel 0 is NaN", "--source", folder["nan.safetensors"], "--target", target);
    }

    [SharedFact]
    public void Massive_activations_are_found_where_they_are()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllLines(folder["a.txt"], ["The dog went to the park to play with a ball.", "My favourite food is bread, with butter and honey.", "Paris is a city in France."]);
        var call = Cli.Done("capture", Folders.InShared("models", "smollm2-135m", "genai-int4"), "--prompts", folder["a.txt"], "--sites", @"model\.layers\.(0|15|29)|model\.layers\.15\.self_attn\.o_proj", "--out", folder["a.safetensors"], "--json");
        Assert.Contains("massive activations at", call.Error);
        var massive = call.Json.GetProperty("massive");
        Assert.Equal(4, massive.GetProperty("lookedAt").GetInt32());
        var block = massive.GetProperty("sites").EnumerateArray().Single(site => site.GetProperty("site").GetString() == "model.layers.15");
        Assert.InRange(block.GetProperty("largest").GetDouble(), 20_000, 30_000);
        Assert.InRange(block.GetProperty("ratio").GetDouble(), 80, 250);
        Assert.Equal((3, 3), (block.GetProperty("tokens").GetInt32(), block.GetProperty("prompts").GetInt32()));
        Assert.Equal(0, Assert.Single(block.GetProperty("positions").EnumerateArray().ToList()).GetProperty("position").GetInt32());
        Assert.DoesNotContain("massive", Cli.Done("capture", Cli.Optimum, "--prompts", folder["a.txt"], "--sites", "model.layers.1", "--out", folder["a.safetensors"]).Error);
    }

    private static byte[] Fit(TemporaryFolder folder, params string[] data)
    {
        Cli.Done(["fit", Cli.Optimum, "--sites", Sites, "--out", folder["map.safetensors"], .. data]);
        return File.ReadAllBytes(folder["map.safetensors"]);
    }

    private static float[] Capture(TemporaryFolder folder, string prompts, params string[] more)
    {
        var output = folder[$"{prompts}.safetensors"];
        Cli.Done(["capture", Cli.Optimum, "--prompts", folder[prompts], "--sites", Sites, "--threads", "1", "--out", output, .. more]);
        using var file = SafetensorsFile.Open(output);
        return [.. file.Tensors.SelectMany(tensor => file.ReadSingles(tensor.Name))];
    }

    private static void Close(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
            Assert.Equal(a, b, 1e-5f);
    }

    private static void Refused(int code, string expected, params string[] data)
    {
        using var folder = new TemporaryFolder();
        var call = Cli.Run(["fit", Cli.Optimum, "--sites", Sites, "--out", folder["map.safetensors"], .. data]);
        Assert.True(call.ExitCode == code, $"{call.ExitCode}: {call.Out}{call.Error}");
        Assert.Contains(expected, call.Error);
        Assert.False(File.Exists(folder["map.safetensors"]));
    }
}
