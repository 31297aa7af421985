using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public sealed class ActivationFileTests : IDisposable
{
    private static readonly ActivationOrigin Origin = new("mean", "ab", "tool 1", new Fingerprint("p", "g", "w"));
    private readonly TemporaryFolder folder = new();

    private string FilePath => folder["acts.safetensors"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Save_then_load_gives_the_same_activations_in_the_same_order()
    {
        var set = Set(Origin, ("z/y", 1), ("a", 5));
        set.Save(FilePath);
        Same(set, ActivationSet.Load(FilePath));
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(["z/y", "a"], file.Tensors.Select(t => t.Name));
        Assert.Equal("F32 [2, 3]", file["a"].ToString());
    }

    [Fact]
    public void A_pair_keeps_its_sides_apart()
    {
        var pair = new ActivationPair(Set(Origin, ("z", 1), ("a", 5)), Set(Origin with { Digest = "cd" }, ("a", 9), ("z", 13)));
        pair.Save(FilePath);
        var loaded = ActivationPair.Load(FilePath);
        Same(pair.Source, loaded.Source);
        Same(pair.Target, loaded.Target);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(["source/z", "source/a", "target/a", "target/z"], file.Tensors.Select(t => t.Name));
    }

    [Fact]
    public void The_recorded_order_survives_a_program_that_sorts_tensors()
    {
        Set(Origin, ("z", 1), ("a", 5)).Save(FilePath);
        using (var file = SafetensorsFile.Open(FilePath))
            SafetensorsWriter.Write(folder["sorted"], file.Tensors.OrderBy(t => t.Name).Select(t => SafetensorsTensor.Of(t.Name, file.ReadMatrix(t.Name))), file.Metadata);
        Assert.Equal(["z", "a"], ActivationSet.Load(folder["sorted"]).Sites.Select(s => s.Site));
    }

    [Fact]
    public void Files_of_other_programs_need_no_metadata_and_may_be_narrow()
    {
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<Half>("s", [(Half)0.5, (Half)2], [2, 1])]);
        var set = ActivationSet.Load(FilePath);
        Assert.Equal(Matrix.Of(2, 1, [0.5f, 2]), set["s"]);
        Assert.Equal(ActivationOrigin.Unknown, set.Origin);
    }

    [Fact]
    public void Faults_are_refused_by_name()
    {
        SafetensorsWriter.Write(FilePath, []);
        Assert.Contains("no tensors", LoadError(), StringComparison.Ordinal);
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("s", [1, 2])]);
        Assert.Contains("F32 [2]", LoadError(), StringComparison.Ordinal);
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of("s", Matrix.Of(1, 1, [1])), SafetensorsTensor.Of("t", Matrix.Of(2, 1, [1, 2]))]);
        Assert.Contains("'t' has 2 samples, but 's' has 1", LoadError(), StringComparison.Ordinal);
        Assert.Contains("'s'", Assert.Throws<OnnxException>(() => ActivationPair.Load(FilePath)).Message, StringComparison.Ordinal);
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of("source/s", Matrix.Of(1, 1, [1]))]);
        Assert.Contains("'target/SITE'", Assert.Throws<OnnxException>(() => ActivationPair.Load(FilePath)).Message, StringComparison.Ordinal);
        Set(Origin, ("s", 1)).Save(FilePath);
        Assert.Contains("activations.1", Assert.Throws<OnnxException>(() => ActivationPair.Load(FilePath)).Message, StringComparison.Ordinal);
        Assert.Contains("expected a steering map", Assert.Throws<OnnxException>(() => SteeringMap.Load(FilePath)).Message, StringComparison.Ordinal);
        string LoadError() => Assert.Throws<OnnxException>(() => ActivationSet.Load(FilePath)).Message;
    }

    [Fact]
    public void A_set_needs_distinct_sites()
    {
        Assert.Throws<OnnxException>(() => new ActivationSet([]));
        Assert.Contains("'a'", Assert.Throws<OnnxException>(() => Set(Origin, ("a", 1), ("a", 2))).Message, StringComparison.Ordinal);
        Assert.Contains("'b'", Assert.Throws<OnnxException>(() => Set(Origin, ("a", 1))["b"]).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_matrix_has_rows_and_columns_and_the_equality_of_its_values()
    {
        var matrix = Matrix.Of(2, 3, [1, 2, 3, 4, 5, 6]);
        Assert.Equal(6, matrix[1, 2]);
        Assert.Equal([4f, 5, 6], matrix.Row(1).ToArray());
        var column = new float[2];
        matrix.CopyColumn(1, column);
        Assert.Equal([2f, 5], column);
        Assert.NotEqual(matrix, Matrix.Of(3, 2, [1, 2, 3, 4, 5, 6]));
        Assert.NotEqual(matrix, Matrix.Of(2, 3, [1, 2, 3, 4, 5, 7]));
        Assert.Equal(Matrix.Of(1, 1, [float.NaN]), Matrix.Of(1, 1, [float.NaN]));
        Assert.Throws<ArgumentException>(() => Matrix.Of(2, 2, [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Matrix.Of(-1, -1, [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.CopyColumn(3, column));
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.CopyColumn(-1, column));
    }

    [Fact]
    public void Poolings_are_read_and_written_by_name()
    {
        Assert.Equal(["mean", "min", "max", "last"], Enum.GetValues<Pooling>().Select(p => p.Name()));
        Assert.All(Enum.GetValues<Pooling>(), p => Assert.Equal(p, Poolings.Parse(p.Name())));
        Assert.Contains("mean, min, max, last", Assert.Throws<OnnxException>(() => Poolings.Parse("1")).Message, StringComparison.Ordinal);
    }

    private static void Same(ActivationSet expected, ActivationSet actual)
    {
        Assert.Equal(expected.Sites.AsEnumerable(), actual.Sites);
        Assert.Equal(expected.Origin, actual.Origin);
    }

    private static ActivationSet Set(ActivationOrigin origin, params (string Site, float First)[] sites)
        => new(sites.Select(s => new SiteActivations(s.Site, Matrix.Of(2, 3, [s.First, 2, float.NaN, 4, 5, 6]))), origin);
}
