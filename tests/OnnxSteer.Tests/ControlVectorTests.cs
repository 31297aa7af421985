using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Tests;

/// <summary>GGUF control vectors: what is written, what is read, and what is refused.</summary>
public sealed class ControlVectorTests : IDisposable
{
    private static readonly Model Model = ModelFile.Open(Path.Combine(Folders.Models, "stories260k", "optimum"));
    private readonly TemporaryFolder folder = new();

    private string Gguf => folder["vector.gguf"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Written_bytes_are_those_of_the_specification()
    {
        var vectors = new[] { (1, Vector(1)), (3, Vector(3)) };
        MapExchange.Export(Gguf, Shifts(vectors), Model, ExchangeFormat.Gguf);
        Assert.Equal(new GgufBytes { Hint = "llama" }.Of(vectors), File.ReadAllBytes(Gguf));
    }

    [Theory]
    [InlineData(2u, false, 32u)]
    [InlineData(3u, false, 32u)]
    [InlineData(3u, true, 32u)]
    [InlineData(3u, false, 256u)]
    public void Bytes_of_the_specification_are_read(uint version, bool isHalf, uint alignment)
    {
        // Values that halves hold exactly.
        ImmutableArray<float>[] vectors = [.. new[] { 1, 2, 4 }.Select(layer => Vector(layer).Select(value => (float)(Half)value).ToImmutableArray())];
        File.WriteAllBytes(Gguf, new GgufBytes { Version = version, IsHalf = isHalf, Alignment = alignment, HasOthers = true }.Of((1, vectors[0]), (2, vectors[1]), (4, vectors[2])));
        Assert.Equal(ExchangeFormat.Gguf, MapExchange.FormatOf(Gguf));
        var map = MapExchange.Import(Gguf, Model);
        Assert.Equal(["model.layers.1", "model.layers.2", "model.layers.4"], map.Sites.Select(entry => entry.Site));
        foreach (var (entry, vector) in map.Sites.Zip(vectors))
        {
            Assert.All(entry.Transport.W, w => Assert.Equal(1, w));
            Assert.Equal(vector.AsEnumerable(), entry.Transport.B);
            Assert.Null(entry.Transport.Support);
        }
    }

    [Theory]
    [InlineData(ExchangeFormat.Gguf)]
    [InlineData(ExchangeFormat.SteeringVectors)]
    public void A_map_survives_the_way_out_and_back(ExchangeFormat format)
    {
        var map = Shifts([.. Enumerable.Range(1, 4).Select(layer => (layer, Vector(layer)))]);
        MapExchange.Export(folder["first"], map, Model, format);
        var back = MapExchange.Import(folder["first"], Model);
        Assert.Equal(map.Sites.AsEnumerable(), back.Sites);
        Assert.Equal(ModelDescription.Of(Model).Fingerprint, back.Provenance.Fingerprint);
        Assert.Matches($"^{MapExchange.NameOf(format)} first, sha256 [0-9a-f]{{64}}, coefficient 1", back.Provenance.MadeFrom);
        back.Save(folder["map"]);
        Assert.Equal(back, SteeringMap.Load(folder["map"]));
        MapExchange.Export(folder["second"], back, Model, format);
        Assert.Equal(File.ReadAllBytes(folder["first"]), File.ReadAllBytes(folder["second"]));
    }

    [Fact]
    public void Coefficient_layers_and_sites_are_taken_into_account()
    {
        File.WriteAllBytes(Gguf, new GgufBytes().Of([.. Enumerable.Range(1, 6).Select(layer => (layer, Vector(layer)))]));
        var map = MapExchange.Import(Gguf, Model, new ImportOptions { Coefficient = -2.5f, Layers = LayerRange.Parse("2-3"), Site = "model.layers.{0}.mlp" });
        Assert.Equal(["model.layers.2.mlp", "model.layers.3.mlp"], map.Sites.Select(entry => entry.Site));
        Assert.Equal(Vector(3).Select(value => -2.5f * value), map["model.layers.3.mlp"].B);
        Refused("'direction.5' of '*' is for block 5*blocks 0 to 4*--layers 0-4", () => MapExchange.Import(Gguf, Model));
        Refused("no vector for the layers 8-9; it has 'direction.1'", () => MapExchange.Import(Gguf, Model, new ImportOptions { Layers = new LayerRange(8, 9) }));
        Refused("coefficient is 0", () => MapExchange.Import(Gguf, Model, new ImportOptions { Coefficient = 0, Layers = new LayerRange(0, 4) }));
        Refused("no '{0}'", () => MapExchange.Import(Gguf, Model, new ImportOptions { Site = "model.layers.1" }));
        Refused("has no site 'model.layers.1.nothing'", () => MapExchange.Import(Gguf, Model, new ImportOptions { Site = "model.layers.{0}.nothing" }));
    }

    [Fact]
    public void Layer_0_is_read_and_not_written()
    {
        File.WriteAllBytes(Gguf, new GgufBytes().Of((0, Vector(0)), (1, Vector(1))));
        var map = MapExchange.Import(Gguf, Model);
        Assert.Equal("model.layers.0", map.Sites[0].Site);
        Refused("block 0*--layers 1-1", () => MapExchange.Export(folder["out"], map, Model, ExchangeFormat.Gguf));
        Assert.Equal(1, MapExchange.Export(folder["out"], map, Model, ExchangeFormat.Gguf, new LayerRange(1, 1)));
    }

    [Fact]
    public void Maps_that_no_vector_can_hold_are_refused()
    {
        var one = Vector(1);
        void Export(string expected, SiteTransport entry, ExchangeFormat format = ExchangeFormat.Gguf) => Refused(expected, () => MapExchange.Export(folder["out"], new SteeringMap([entry]), Model, format));
        Export("'model.layers.1' scales channels", new("model.layers.1", Transport.Of("s", one, one)));
        ImmutableArray<float> ones = [.. one.Select(_ => 1f)];
        Export("'model.layers.1' has bounds", new("model.layers.1", Transport.Of("s", ones, one, [.. ones.Select(v => -v)], ones)));
        Export("'model.layers.1.mlp' is no output of a block", new("model.layers.1.mlp", Transport.Of("s", ones, one)));
        Export("not written as ml-act", new("model.layers.1", Transport.Of("s", ones, one)), ExchangeFormat.MlAct);
        Assert.False(File.Exists(folder["out"]));
        var foreign = Shifts((1, one)).With(new Provenance(Fingerprint: new Fingerprint("0123456789", "0123456789", "0123456789")));
        Refused("fitted on another model", () => MapExchange.Export(folder["out"], foreign, Model, ExchangeFormat.Gguf));
        Assert.Equal(1, MapExchange.Export(folder["out"], foreign, Model, ExchangeFormat.Gguf, force: true));
    }

    [Fact]
    public void Vectors_of_another_size_are_refused_with_both_numbers()
    {
        File.WriteAllBytes(Gguf, new GgufBytes().Of((1, Vector(1)[..63])));
        Refused("'direction.1' of '*' has 63 numbers, but 'model.layers.1' of * has 64 channels", () => MapExchange.Import(Gguf, Model));
    }

    [Fact]
    public void Numbers_that_are_not_finite_are_refused()
    {
        File.WriteAllBytes(Gguf, new GgufBytes().Of((1, Vector(1).SetItem(7, float.NaN))));
        Refused("NaN at 7", () => MapExchange.Import(Gguf, Model));
        File.WriteAllBytes(Gguf, new GgufBytes().Of((1, Vector(1).SetItem(3, 1e38f))));
        Refused("at 3; finite", () => MapExchange.Import(Gguf, Model, new ImportOptions { Coefficient = 100 }));
    }

    [Theory]
    [InlineData(0, 0x46, "at byte 0, the magic number")]
    [InlineData(4, 1, "at byte 4, the version is 1")]
    [InlineData(15, 0x7f, "at byte 8, the number of tensors")]
    [InlineData(23, 0x7f, "at byte 16, the number of metadata entries")]
    [InlineData(31, 0x7f, "at byte 24, a metadata key")]
    public void A_wrong_byte_is_named(int at, byte value, string expected)
    {
        var bytes = new GgufBytes().Of((1, Vector(1)));
        bytes[at] = value;
        File.WriteAllBytes(Gguf, bytes);
        Refused(expected, () => MapExchange.Import(Gguf, Model, new ImportOptions { Format = ExchangeFormat.Gguf }));
    }

    [Theory]
    [InlineData("llama", "direction.1", 0u, 1u, 0ul, "'general.architecture' is 'llama'")]
    [InlineData("llama", "blk.1", 2u, 2u, 0ul, "'general.architecture' is 'llama'")]
    [InlineData("controlvector", "blk.1", 0u, 1u, 0ul, "a tensor 'blk.1'")]
    [InlineData("controlvector", "direction.-1", 0u, 1u, 0ul, "a tensor 'direction.-1'")]
    [InlineData("controlvector", "direction.99999999999", 0u, 1u, 0ul, "a tensor 'direction.99999999999'")]
    [InlineData("controlvector", "direction.1", 2u, 1u, 0ul, "of GGML type 2")]
    [InlineData("controlvector", "direction.1", 0u, 0u, 0ul, "has 0 dimensions")]
    [InlineData("controlvector", "direction.1", 0u, 5u, 0ul, "has 5 dimensions")]
    [InlineData("controlvector", "direction.1", 0u, 1u, 32ul, "64 numbers of 4 bytes at 32 behind byte")]
    [InlineData("controlvector", "direction.1", 0u, 1u, 4ul, "multiples of 32")]
    [InlineData("controlvector", "direction.1", 0u, 1u, ulong.MaxValue - 31, "64 numbers of 4 bytes at")]
    public void What_is_no_control_vector_is_refused(string architecture, string tensor, uint type, uint dimensions, ulong offset, string expected)
    {
        File.WriteAllBytes(Gguf, new GgufBytes { Architecture = architecture, Tensor = tensor, Type = type, Dimensions = dimensions, Offset = offset }.Of((1, Vector(1))));
        Refused(expected, () => MapExchange.Import(Gguf, Model));
    }

    [Fact]
    public void Big_endian_files_are_told()
    {
        File.WriteAllBytes(Gguf, new GgufBytes { Version = 3u << 24 }.Of((1, Vector(1))));
        Refused("at byte 4, the file is big-endian", () => MapExchange.Import(Gguf, Model));
    }

    [Fact]
    public void Cut_or_damaged_files_give_clear_errors_alone()
    {
        var bytes = new GgufBytes { HasOthers = true }.Of((1, Vector(1)), (2, Vector(2)));
        for (var length = 1; length < bytes.Length - 32; length++)
            Read(bytes[..length], mustFail: true);
        var random = new Random(1);
        for (var i = 0; i < 1000; i++)
        {
            var damaged = bytes.ToArray();
            for (var j = random.Next(1, 4); j > 0; j--)
                damaged[random.Next(500)] = (byte)random.Next(256);
            Read(damaged, mustFail: false);
        }

        void Read(byte[] content, bool mustFail)
        {
            File.WriteAllBytes(Gguf, content);
            try
            {
                MapExchange.Import(Gguf, Model, new ImportOptions { Format = ExchangeFormat.Gguf });
                Assert.False(mustFail, $"{content.Length} bytes were taken");
            }
            catch (OnnxException e)
            {
                Assert.NotEqual("", e.Message);
            }
        }
    }

    private static ImmutableArray<float> Vector(int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, 64).Select(_ => random.NextSingle() - 0.5f)];
    }

    private static SteeringMap Shifts(params (int Layer, ImmutableArray<float> Values)[] vectors) =>
        new(vectors.Select(vector => new SiteTransport($"model.layers.{vector.Layer}", Transport.Of("s", [.. vector.Values.Select(_ => 1f)], vector.Values))));

    private static void Refused(string expected, Action action) =>
        Assert.Matches(string.Join(".*", expected.Split('*').Select(System.Text.RegularExpressions.Regex.Escape)), Assert.Throws<OnnxException>(action).Message);
}
