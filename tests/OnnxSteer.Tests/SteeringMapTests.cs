using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public sealed class SteeringMapTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Save_then_load_gives_an_equal_map_in_the_same_order()
    {
        var map = new SteeringMap(
            [
                new("z.last/name", Transport.Of("z", [2, 1, -0.5f], [0, 1e-30f, 3], [-1, -1e6f, 0], [1, 2, 1e6f])),
                new("a.first", Transport.Of("a", [1.5f], [-2])),
                new("mödel.µ", Transport.Of("m", [0], [float.MaxValue])),
            ],
            new Provenance("linear", "mean", "q_5_95", true, "execution", new SampleCounts(32, 31), "ab", "cd", Provenance.ThisTool, "calm", new Fingerprint("p", "g", "w")));
        map.Save(folder["map.safetensors"]);
        var loaded = SteeringMap.Load(folder["map.safetensors"]);
        Assert.Equal(map, loaded);
        Assert.Equal(["z.last/name", "a.first", "mödel.µ"], loaded.Sites.Select(s => s.Site));
        loaded.Save(folder["again.safetensors"]);
        Assert.Equal(File.ReadAllBytes(folder["map.safetensors"]), File.ReadAllBytes(folder["again.safetensors"]));
    }

    [Fact]
    public void Equality_sees_every_part()
    {
        var map = Map([2], [1], [-1], [1]);
        Assert.Equal(map, Map([2], [1], [-1], [1]));
        Assert.NotEqual(map, Map([3], [1], [-1], [1]));
        Assert.NotEqual(map, Map([2], [2], [-1], [1]));
        Assert.NotEqual(map, Map([2], [1], [-2], [1]));
        Assert.NotEqual(map, Map([2], [1], [-1], [2]));
        Assert.NotEqual(map, Map([2], [1], [-1e6f], [1e6f]));
        Assert.NotEqual(map, map.With(new Provenance(Label: "other")));
        static SteeringMap Map(ImmutableArray<float> w, ImmutableArray<float> b, ImmutableArray<float> lo, ImmutableArray<float> hi)
            => new([new("s", Transport.Of("s", w, b, lo, hi))]);
    }

    [Fact]
    public void An_empty_record_stays_empty_and_no_bounds_write_no_bounds()
    {
        var map = new SteeringMap([new("s", Transport.Of("s", [2], [0], [-1e6f], [1e6f]))]);
        Assert.Null(map["s"].Support);
        map.Save(folder["map.safetensors"]);
        using (var file = SafetensorsFile.Open(folder["map.safetensors"]))
            Assert.Equal(["s/w", "s/b"], file.Tensors.Select(t => t.Name));
        Assert.Equal(Provenance.Unknown, SteeringMap.Load(folder["map.safetensors"]).Provenance);
    }

    [Fact]
    public void A_bound_that_one_channel_lacks_is_written_as_a_million()
    {
        new SteeringMap([new("s", Transport.Of("s", [2, 2], [0, 0], [-1e6f, 0], [3, 1e6f]))]).Save(folder["map.safetensors"]);
        using var file = SafetensorsFile.Open(folder["map.safetensors"]);
        Assert.Equal([-1e6f, 0], file.ReadSingles("s/lo"));
        Assert.Equal([3, 1e6f], file.ReadSingles("s/hi"));
    }

    [Fact]
    public void A_foreign_map_is_read_in_the_files_order_whatever_its_metadata_means()
    {
        Write([Tensor("b/w", 2f), Tensor("b/b", 0f), Tensor("a/w", 3f), Tensor("a/b", 1f)],
            new Dictionary<string, string> { ["samples"] = "many", ["sites"] = "[\"x\"]", ["method"] = "theirs", ["causal"] = "perhaps" });
        var map = SteeringMap.Load(folder["m"]);
        Assert.Equal(["b", "a"], map.Sites.Select(s => s.Site));
        Assert.Equal(new Provenance(Method: "theirs"), map.Provenance);
    }

    [Fact]
    public void Wider_types_are_read_and_bounds_rounded_outward()
    {
        Write([SafetensorsTensor.Of<double>("s/w", [0.1]), SafetensorsTensor.Of<Half>("s/b", [(Half)0.5]),
            SafetensorsTensor.Of<double>("s/lo", [0.1]), SafetensorsTensor.Of<double>("s/hi", [0.7])]);
        var transport = SteeringMap.Load(folder["m"])["s"];
        Assert.Equal(0.1f, transport.W[0]);
        Assert.Equal(0.5f, transport.B[0]);
        Assert.Equal(MathF.BitDecrement(0.1f), transport.Support!.Lo[0]);
        Assert.Equal(MathF.BitIncrement(0.7f), transport.Support.Hi[0]);
    }

    public static TheoryData<string, string[]> Refused => new()
    {
        { "holds no tensors", [] },
        { "'s/b'", ["s/w=2"] },
        { "'s/w'", ["s/b=2"] },
        { "'s/hi'", ["s/w=2", "s/b=0", "s/lo=1"] },
        { "'s/lo'", ["s/w=2", "s/b=0", "s/hi=1"] },
        { "'s/x'", ["s/w=2", "s/b=0", "s/x=1"] },
        { "'w'", ["w=2", "b=0"] },
        { "'/w'", ["/w=2", "/b=0"] },
        { "NaN in channel 1", ["s/w=2 NaN", "s/b=0 0"] },
        { "'s/b' is Infinity in channel 0", ["s/w=2", "s/b=Infinity"] },
        { "'s/b' has 2 channels", ["s/w=2", "s/b=0 0"] },
        { "'s/lo' has 1 channels", ["s/w=2 2", "s/b=0 0", "s/lo=0", "s/hi=1 1"] },
        { "3 and 1 in channel 1", ["s/w=2 2", "s/b=0 0", "s/lo=0 3", "s/hi=1 1"] },
        { "NaN and 1 in channel 0", ["s/w=2", "s/b=0", "s/lo=NaN", "s/hi=1"] },
        { "no channels", ["s/w=", "s/b="] },
        { "maps by timestep are not supported here yet", ["timesteps/edges=0 1", "s/w=2", "s/b=0"] },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Faults_are_refused_by_name(string said, string[] tensors)
    {
        Write([.. tensors.Select(text =>
        {
            var (name, values) = (text[..text.IndexOf('=', StringComparison.Ordinal)], text[(text.IndexOf('=', StringComparison.Ordinal) + 1)..]);
            return Tensor(name, [.. values.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(v => float.Parse(v, System.Globalization.CultureInfo.InvariantCulture))]);
        })]);
        var error = Assert.Throws<OnnxException>(() => SteeringMap.Load(folder["m"]));
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
        Assert.Contains(folder["m"], error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parameters_of_a_wrong_rank_or_type_are_refused()
    {
        Write([SafetensorsTensor.Of<float>("s/w", [1, 2], [1, 2]), Tensor("s/b", 1f, 2f)]);
        Assert.Contains("F32 [1, 2]", Assert.Throws<OnnxException>(() => SteeringMap.Load(folder["m"])).Message, StringComparison.Ordinal);
        Write([SafetensorsTensor.Of<long>("s/w", [1]), Tensor("s/b", 1f)]);
        Assert.Contains("I64 [1]", Assert.Throws<OnnxException>(() => SteeringMap.Load(folder["m"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("onnxsteer", "activations.1", "expected a steering map")]
    [InlineData("sites", "[\"s\",\"t\"]", "'t'")]
    [InlineData("sites", "[\"s\",null]", "a JSON list")]
    [InlineData("samples", "{}x", "'samples'")]
    [InlineData("causal", "perhaps", "'true' or 'false'")]
    [InlineData("fingerprint", "{\"places\":\"p\"}", "'fingerprint'")]
    public void Metadata_of_our_own_files_must_be_right(string key, string value, string said)
    {
        var metadata = new Dictionary<string, string> { ["onnxsteer"] = "map.1" };
        metadata[key] = value;
        Write([Tensor("s/w", 2f), Tensor("s/b", 0f)], metadata);
        Assert.Contains(said, Assert.Throws<OnnxException>(() => SteeringMap.Load(folder["m"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_map_needs_distinct_named_sites()
    {
        var transport = Transport.Of("s", [2], [0]);
        Assert.Throws<OnnxException>(() => new SteeringMap([]));
        Assert.Throws<OnnxException>(() => new SteeringMap([new("", transport)]));
        Assert.Contains("'s' twice", Assert.Throws<OnnxException>(() => new SteeringMap([new("s", transport), new("s", transport)])).Message, StringComparison.Ordinal);
        Assert.Contains("'t'", Assert.Throws<OnnxException>(() => new SteeringMap([new("s", transport)])["t"]).Message, StringComparison.Ordinal);
    }

    private static SafetensorsTensor Tensor(string name, params float[] values) => SafetensorsTensor.Of<float>(name, values);

    private void Write(SafetensorsTensor[] tensors, Dictionary<string, string>? metadata = null) => SafetensorsWriter.Write(folder["m"], tensors, metadata);
}
