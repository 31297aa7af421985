using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Tests;

/// <summary>Steering vectors in safetensors, by each way of naming them.</summary>
public sealed class SteeringVectorFileTests : IDisposable
{
    private static readonly Model Model = ModelFile.Open(Path.Combine(Folders.Models, "stories260k", "optimum"));
    private static readonly float[] One = [.. Enumerable.Range(0, 64).Select(i => i - 31.5f)];
    private readonly TemporaryFolder folder = new();

    private string FilePath => folder["vectors.safetensors"];

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("3", null, "model.layers.3")]
    [InlineData("layer.3", null, "model.layers.3")]
    [InlineData("layer_3", "decoder_block", "model.layers.3")]
    [InlineData("layer_activations.3", "mlp", "model.layers.3.mlp")]
    [InlineData("layer.3", "self_attn", "model.layers.3.self_attn")]
    [InlineData("layer.3", "post_attention_layernorm", "model.layers.3.post_attention_layernorm")]
    [InlineData("model.layers.3.mlp", null, "model.layers.3.mlp")]
    [InlineData("model.layers.3", null, "model.layers.3")]
    [InlineData("model.norm", null, "model.norm")]
    public void A_tensors_name_tells_the_site(string name, string? type, string site)
    {
        Write(type, SafetensorsTensor.Of<float>(name, One));
        Assert.Equal(ExchangeFormat.SteeringVectors, MapExchange.FormatOf(FilePath));
        var map = MapExchange.Import(FilePath, Model, new ImportOptions { Coefficient = 2 });
        Assert.Equal(site, Assert.Single(map.Sites).Site);
        Assert.Equal(One.Select(value => 2 * value), map[site].B);
    }

    [Fact]
    public void Other_types_and_dimensions_of_1_are_read()
    {
        Write(null, SafetensorsTensor.Of<Half>("layer.2", [.. One.Select(value => (Half)value)], [1, 1, 64]), SafetensorsTensor.Of<double>("layer.1", [.. One.Select(value => (double)value)], [64]));
        var map = MapExchange.Import(FilePath, Model);
        Assert.Equal(["model.layers.1", "model.layers.2"], map.Sites.Select(entry => entry.Site));
        Assert.All(map.Sites, entry => Assert.Equal(One, entry.Transport.B));
    }

    [Fact]
    public void Row_L_of_a_matrix_is_block_L()
    {
        float[] rows = [.. Enumerable.Range(0, 5).SelectMany(row => One.Select(value => value + row))];
        Write(null, SafetensorsTensor.Of<float>("vectors", rows, [5, 64]));
        var map = MapExchange.Import(FilePath, Model, new ImportOptions { Layers = new LayerRange(1, 3) });
        Assert.Equal(["model.layers.1", "model.layers.2", "model.layers.3"], map.Sites.Select(entry => entry.Site));
        Assert.Equal(One.Select(value => value + 3), map["model.layers.3"].B);
        // Were the embeddings' row taken for block 0, a range of layers would not tell.
        Write(null, SafetensorsTensor.Of<float>("vectors", [.. One, .. rows], [6, 64]));
        Refused("6 rows, but", () => MapExchange.Import(FilePath, Model, new ImportOptions { Layers = new LayerRange(1, 3) }));
        Refused("has 5 sites 'model.layers.{0}.mlp'", () => MapExchange.Import(FilePath, Model, new ImportOptions { Layers = new LayerRange(1, 3), Site = "model.layers.{0}.mlp" }));
    }

    [Fact]
    public void Sites_other_than_blocks_go_out_by_their_names()
    {
        var map = new SteeringMap([new("model.layers.1.mlp", Transport.Of("s", [.. One.Select(_ => 1f)], [.. One])), new("model.layers.4", Transport.Of("s", [.. One.Select(_ => 1f)], [.. One]))]);
        MapExchange.Export(FilePath, map, Model, ExchangeFormat.SteeringVectors);
        using (var file = SafetensorsFile.Open(FilePath))
            Assert.Equal(["model.layers.1.mlp", "model.layers.4"], file.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(map.Sites.AsEnumerable(), MapExchange.Import(FilePath, Model).Sites);
    }

    [Fact]
    public void What_has_no_place_is_refused()
    {
        Write(null, SafetensorsTensor.Of<float>("layer.1", One), SafetensorsTensor.Of<float>("1", One));
        Refused("two entries for one place: 'model.layers.1'", () => MapExchange.Import(FilePath, Model));
        Write(null, SafetensorsTensor.Of<float>("model.layers.1.mlp", One), SafetensorsTensor.Of<float>("model.layers.1.mlp.down_proj", One));
        Refused("two entries for one place: 'model.layers.1.mlp' and 'model.layers.1.mlp.down_proj'", () => MapExchange.Import(FilePath, Model));
        Write(null, SafetensorsTensor.Of<float>("happiness", One));
        Refused("has no site 'happiness'", () => MapExchange.Import(FilePath, Model));
        Write(null, SafetensorsTensor.Of<float>("layer.1", One, [2, 32]), SafetensorsTensor.Of<float>("layer.2", One));
        Refused("'layer.1' of", () => MapExchange.Import(FilePath, Model));
        Write("norms", SafetensorsTensor.Of<float>("layer.1", One));
        Refused("has no site 'model.layers.1.norms'", () => MapExchange.Import(FilePath, Model));
        Write(null, SafetensorsTensor.Of<float>("layer.1", new float[64]));
        Refused("would change nothing", () => MapExchange.Import(FilePath, Model));
        Write(null, SafetensorsTensor.Of<float>("layer.1", One));
        Refused("options of ml-act", () => MapExchange.Import(FilePath, Model, new ImportOptions { Band = "q_all" }));
    }

    [Fact]
    public void Pickles_maps_and_folders_are_told_apart()
    {
        File.WriteAllBytes(FilePath, [(byte)'P', (byte)'K', 3, 4, 0, 0, 0, 0, 0]);
        Refused("is a pickle", () => MapExchange.FormatOf(FilePath));
        File.WriteAllBytes(FilePath, [0x80, 2, 0x7d, 0x71]);
        Refused("is a pickle", () => MapExchange.FormatOf(FilePath));
        new SteeringMap([new("model.norm", Transport.Of("s", [2], [0]))]).Save(FilePath);
        Refused("needs no import", () => MapExchange.FormatOf(FilePath));
        Refused("is a folder", () => MapExchange.FormatOf(folder.Path));
        Refused("cannot be read", () => MapExchange.FormatOf(folder["absent"]));
        File.WriteAllBytes(FilePath, []);
        Refused("is empty", () => MapExchange.FormatOf(FilePath));
    }

    private void Write(string? type, params SafetensorsTensor[] tensors) =>
        SafetensorsWriter.Write(FilePath, tensors, type is null ? null : new Dictionary<string, string> { ["layer_type"] = type });

    private static void Refused(string expected, Action action) => Assert.Contains(expected, Assert.Throws<OnnxException>(action).Message);
}
