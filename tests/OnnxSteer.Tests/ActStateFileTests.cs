using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Tests;

/// <summary>ml-act's states: the reference's own parameters, and how they make maps.</summary>
public sealed class ActStateFileTests : IDisposable
{
    private static readonly Model Model = ModelFile.Open(Path.Combine(Folders.Models, "stories260k", "optimum"));
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string, string> Maps
    {
        get
        {
            var data = new TheoryData<string, string> { { "aura", "q_all" } };
            foreach (var method in new[] { "linear_ot", "mean_ot", "gaussian_ot" })
                foreach (var band in new[] { "q_0_100", "q_5_95", "q_all" })
                    data.Add(method, band);
            return data;
        }
    }

    private static string Stored => Folders.InShared("golden", "act", "fit_atonce.safetensors");

    private string FilePath => folder["state.safetensors"];

    public void Dispose() => folder.Dispose();

    [SharedTheory, MemberData(nameof(Maps))]
    public void The_references_parameters_map_activations_as_the_reference_does(string method, string band)
    {
        var map = MapExchange.Import(Stored, Model, new ImportOptions { Method = method, Band = method == "aura" ? null : band });
        Assert.Equal((15, method.Replace("_ot", ""), band), (map.Sites.Length, map.Provenance.Method, map.Provenance.Band));
        using var golden = Golden.Open("forward");
        foreach (var (site, transport) in map.Sites)
            foreach (var strength in new[] { "0.5", "1", "2" })
            {
                if (!golden.Contains($"{site}/{method}/{band}/s{strength}/y3"))
                    continue;
                var (z, expected) = (golden.ReadSingles($"{site}/x3"), golden.ReadSingles($"{site}/{method}/{band}/s{strength}/y3"));
                var y = new float[z.Length];
                transport.Apply(z, y, float.Parse(strength, System.Globalization.CultureInfo.InvariantCulture));
                // Without a support values beyond a million are mapped too.
                for (var i = 0; i < y.Length; i++)
                    if (Math.Abs(z[i]) < 1e6)
                        Assert.True(Math.Abs(expected[i] - y[i]) <= 1e-5 * Math.Max(1, Math.Abs(expected[i])), $"{site}, {method}, {band}, {strength}, {i}: {y[i]:R}, expected {expected[i]:R}");
            }
        Assert.Contains(map.Sites, entry => golden.Contains($"{entry.Site}/{method}/{band}/s1/y3"));
    }

    [SharedFact]
    public void Bounds_and_methods_must_be_named_where_there_are_several()
    {
        Refused("name one of", () => MapExchange.Import(Stored, Model));
        Refused("name one, or q_all", () => MapExchange.Import(Stored, Model, new ImportOptions { Method = "linear_ot" }));
        Refused("no bounds for the band 'q_3_97' of linear_ot", () => MapExchange.Import(Stored, Model, new ImportOptions { Method = "linear_ot", Band = "q_3_97" }));
        Refused("no bounds for the band 'q_5_95' of aura", () => MapExchange.Import(Stored, Model, new ImportOptions { Method = "aura", Band = "q_5_95" }));
        Refused("no method 'linear'", () => MapExchange.Import(Stored, Model, new ImportOptions { Method = "linear", Band = "q_all" }));
        Refused("no coefficient", () => MapExchange.Import(Stored, Model, new ImportOptions { Method = "linear_ot", Band = "q_all", Coefficient = 2 }));
    }

    [Fact]
    public void A_file_of_one_method_says_it_in_its_metadata_or_by_its_keys()
    {
        float[] One(float value) => [.. Enumerable.Repeat(value, 64)];
        SafetensorsTensor[] Moments() => [.. new[] { ("mu1", 1f), ("mu2", 3f), ("std1", 2f), ("std2", 1f) }.Select(pair => SafetensorsTensor.Of<float>($"model.layers.1.mlp/{pair.Item1}", One(pair.Item2)))];
        SafetensorsWriter.Write(FilePath, Moments());
        Assert.Equal(ExchangeFormat.MlAct, MapExchange.FormatOf(FilePath));
        Refused("does not say by which method", () => MapExchange.Import(FilePath, Model));
        var mean = MapExchange.Import(FilePath, Model, new ImportOptions { Method = "mean_ot" })["model.layers.1.mlp"];
        Assert.Equal((1f, 2f), (mean.W[0], mean.B[0]));
        SafetensorsWriter.Write(FilePath, Moments(), new Dictionary<string, string> { ["method"] = "gaussian_ot" });
        var gaussian = MapExchange.Import(FilePath, Model)["model.layers.1.mlp"];
        Assert.Equal((0.5f, 2.5f), (gaussian.W[0], gaussian.B[0]));
        // A module's first output, as ml-act names it, and vectors of two dimensions.
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("model.layers.2.mlp.down_proj:0/w", One(2), [1, 64]), SafetensorsTensor.Of<float>("model.layers.2.mlp.down_proj:0/b", One(1), [64])]);
        var linear = MapExchange.Import(FilePath, Model);
        Assert.Equal(("model.layers.2.mlp.down_proj", "linear"), (linear.Sites[0].Site, linear.Provenance.Method));
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("model.layers.2.mlp/auroc", [.. One(0.75f)])]);
        Assert.Equal(0.5f, MapExchange.Import(FilePath, Model)["model.layers.2.mlp"].W[0]);
    }

    [Fact]
    public void Incomplete_states_and_other_sizes_are_refused()
    {
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("model.layers.2.mlp/w", new float[64])]);
        Refused("no tensor 'model.layers.2.mlp/b'", () => MapExchange.Import(FilePath, Model));
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("model.layers.2.mlp/w", new float[64]), SafetensorsTensor.Of<float>("model.layers.2.mlp/b", new float[63])]);
        Refused("64 numbers, one a channel, was expected", () => MapExchange.Import(FilePath, Model));
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("model.layers.2.mlp/w", new float[32]), SafetensorsTensor.Of<float>("model.layers.2.mlp/b", new float[32])]);
        Refused("has 32 channels, but 'model.layers.2.mlp' of", () => MapExchange.Import(FilePath, Model));
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("transformer.h.0/auroc", new float[64])]);
        Refused("has no site 'transformer.h.0'", () => MapExchange.Import(FilePath, Model));
    }

    private static void Refused(string expected, Action action) => Assert.Contains(expected, Assert.Throws<OnnxException>(action).Message);
}
