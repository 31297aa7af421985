using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;

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

    public static SafetensorsFile Golden(string export) => SafetensorsFile.Open(Path.Combine(FolderOf(export), SitesJson(export).GetProperty("golden").GetString()!));

    public static SafetensorsFile Steered(string export) => SafetensorsFile.Open(Path.Combine(FolderOf(export), SitesJson(export).GetProperty("steer").GetString()!));

    /// <summary>How far a row may be from the golden one, relative to its largest magnitude; null where the golden is that of weights before quantization.</summary>
    public static double? ToleranceOf(string export) =>
        SitesJson(export).GetProperty("tolerance") is { ValueKind: JsonValueKind.Number } tolerance ? tolerance.GetDouble() : null;

    /// <summary>The model as its golden was computed: with activations that are not rounded to 8 bits, where the golden is that of the quantized weights.</summary>
    public static Model Exact(string export, bool evenIfMeasuredAsShipped = false)
    {
        var model = Open(export);
        if (ToleranceOf(export) is null && !evenIfMeasuredAsShipped)
            return model;
        return model.Apply(GraphPatch.Empty.With(model.Graph.Nodes.Where(node => node.Attribute("accuracy_level") is { Int: > 0 }).Select(node =>
            new SetAttribute("exact", Graph.MainPath, node.Outputs[0], new AttributeProto { Name = "accuracy_level", Type = AttributeProto.Types.AttributeType.Int, I = 0 }))));
    }

    public static JsonElement SitesJson(string export) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(FolderOf(export), "sites.json"))).RootElement;

    public static ImmutableArray<int>[] Rows(SafetensorsFile file, string name) => Rows(file.ReadIntegers(name), (int)file[name].Shape[^1]);

    public static ImmutableArray<int>[] Rows(long[] ids, int columns) =>
        [.. ids.Chunk(columns).Select(row => row.Select(id => (int)id).ToImmutableArray())];

    /// <summary>One call on rows of token ids; the outputs as float32.</summary>
    public static Dictionary<string, float[]> Run(
        Model model, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyList<string> outputs, IReadOnlyDictionary<string, float[]>? dials = null, SessionOptions? options = null)
    {
        using var runner = new Runner(model, options);
        return runner.Run(rows, outputs, dials);
    }

    public static float[] Logits(Model model, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? dials = null) =>
        Run(model, rows, ["logits"], dials)["logits"];

    public static IReadOnlyDictionary<string, float[]> Dial(params float[] strengths) => new Dictionary<string, float[]> { ["onnxsteer.strength"] = strengths };

    public static Model Patch(Model model, SteeringMap map, Mode mode, float strength, Positions positions = Positions.All) =>
        model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = mode, Strength = strength, Positions = positions }));

    /// <summary>The model with sites' values among its outputs, and the values of a run, cut to each site's channels.</summary>
    public static Dictionary<string, float[]> Activations(
        Model model, IEnumerable<Site> sites, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? dials = null, SessionOptions? options = null)
    {
        var (patch, taps) = SiteTaps.Whole(model, sites);
        return Values(taps, Run(model.Apply(patch), rows, OutputsOf(taps), dials, options), rows.Count * rows.Max(row => row.Length));
    }

    public static IReadOnlyList<string> OutputsOf(IEnumerable<SiteTap> taps) => [.. taps.SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct()];

    /// <summary>Each site's channels, of the values of a run over so many tokens.</summary>
    public static Dictionary<string, float[]> Values(IEnumerable<SiteTap> taps, IReadOnlyDictionary<string, float[]> values, int tokens) => taps.ToDictionary(tap => tap.Site.Name, tap =>
    {
        var parts = tap.Parts.OrderBy(part => part.Place.ModuleRange?.Start ?? 0).Select(part => Cut(values[part.Output], part.Place.At.Range, tokens)).ToList();
        return parts.Count == 1 ? parts[0]
            : [.. Enumerable.Range(0, tokens).SelectMany(token => parts.SelectMany(part => part[(token * (part.Length / tokens))..((token + 1) * (part.Length / tokens))]))];
    });

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

    public static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        Assert.Equal(a.Length, b.Length);
        double product = 0, first = 0, second = 0;
        for (var i = 0; i < a.Length; i++)
            (product, first, second) = (product + (double)a[i] * b[i], first + (double)a[i] * a[i], second + (double)b[i] * b[i]);
        return product / Math.Sqrt(first * second);
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
