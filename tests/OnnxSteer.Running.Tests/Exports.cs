using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Running.Tests;

/// <summary>The exports that the tests go over, and short ways to run them.</summary>
internal static class Exports
{
    public static IEnumerable<string> Names { get; } = ["stories260k/optimum", "stories260k/genai-fp32", "stories260k-h16/genai-fp32"];

    public static TheoryData<string> All => [.. Names];

    /// <summary>Every language model beside the checkout whose sites are known.</summary>
    public static IEnumerable<string> Fixtures { get; } = Folders.HasShared
        ? [.. Directory.EnumerateFiles(Folders.InShared("models"), "sites.json", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Folders.InShared("models"), Path.GetDirectoryName(file)!).Replace('\\', '/'))
            .Where(export => !export.StartsWith("diffusion", StringComparison.Ordinal)).Order(StringComparer.Ordinal)]
        : [];

    public static TheoryData<string> AllFixtures => [.. Fixtures];

    public static string FolderOf(string export) => Folders.InShared("models", export);

    public static Model Open(string export) => ModelFile.Open(FolderOf(export));

    public static SafetensorsFile Golden(string export) => SafetensorsFile.Open(Path.Combine(Path.GetDirectoryName(FolderOf(export))!, "golden.safetensors"));

    public static SafetensorsFile Steered(string export) => SafetensorsFile.Open(Path.Combine(Path.GetDirectoryName(FolderOf(export))!, "steer.safetensors"));

    public static JsonElement SitesJson(string export) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(FolderOf(export), "sites.json"))).RootElement;

    public static ImmutableArray<int>[] Rows(SafetensorsFile file, string name) => Rows(file.ReadIntegers(name), (int)file[name].Shape[^1]);

    public static ImmutableArray<int>[] Rows(long[] ids, int columns) =>
        [.. ids.Chunk(columns).Select(row => row.Select(id => (int)id).ToImmutableArray())];

    /// <summary>One call on rows of token ids; the outputs as float32.</summary>
    public static Dictionary<string, float[]> Run(
        Model model, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyList<string> outputs, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        using var runner = new Runner(model);
        return runner.Run(rows, outputs, dials);
    }

    public static float[] Logits(Model model, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? dials = null) =>
        Run(model, rows, ["logits"], dials)["logits"];

    public static IReadOnlyDictionary<string, float[]> Dial(params float[] strengths) => new Dictionary<string, float[]> { ["onnxsteer.strength"] = strengths };

    public static Model Patch(Model model, SteeringMap map, Mode mode, float strength, Positions positions = Positions.All) =>
        model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = mode, Strength = strength, Positions = positions }));

    /// <summary>The model with sites' values among its outputs, and the values of a run, cut to each site's channels.</summary>
    public static Dictionary<string, float[]> Activations(
        Model model, IEnumerable<Site> sites, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        var (patch, taps) = SiteTaps.Whole(model, sites);
        var values = Run(model.Apply(patch), rows, [.. taps.SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct()], dials);
        return taps.ToDictionary(tap => tap.Site.Name, tap => Cut(values[tap.Parts[0].Output], tap.Parts[0].Place.At.Range, rows.Count * rows.Max(row => row.Length)));
    }

    public static float[] Cut(float[] values, AxisRange? range, int rows)
    {
        if (range is not { } part)
            return values;
        var width = values.Length / rows;
        return [.. Enumerable.Range(0, rows).SelectMany(row => values[(row * width + part.Start)..(row * width + part.End)])];
    }

    /// <summary>The largest difference of a row, relative to the row's own largest magnitude.</summary>
    public static double WorstRow(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, int channels)
    {
        Assert.Equal(expected.Length, actual.Length);
        var worst = 0.0;
        for (var start = 0; start < expected.Length; start += channels)
        {
            double difference = 0, largest = 0;
            for (var i = start; i < start + channels; i++)
            {
                Assert.True(float.IsFinite(actual[i]), $"element {i} is {actual[i]}");
                difference = Math.Max(difference, Math.Abs((double)expected[i] - actual[i]));
                largest = Math.Max(largest, Math.Abs(expected[i]));
            }
            worst = Math.Max(worst, largest == 0 ? difference : difference / largest);
        }
        return worst;
    }

    public static double Worst(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        var worst = 0.0;
        for (var i = 0; i < expected.Length; i++)
            worst = Math.Max(worst, double.IsNaN(actual[i]) ? double.PositiveInfinity : Math.Abs((double)expected[i] - actual[i]));
        return worst;
    }
}
