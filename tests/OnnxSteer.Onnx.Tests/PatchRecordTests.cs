using Google.Protobuf;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Metadata come from anywhere: a record in it is believed only as far as it holds.</summary>
public class PatchRecordTests
{
    private const string Whole = """{"label":"x","properties":{},"length":10,"sha256":"00","splices":[]}""";

    [Theory]
    [InlineData("")]
    [InlineData("no json")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("""{"label":"x"}""")]
    [InlineData("""{"label":null,"properties":{},"length":10,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":null,"length":10,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{"a":7},"length":10,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":10,"sha256":null,"splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":"ten","sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":1e400,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":9223372036854775808,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":1.5,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":10,"sha256":"00","splices":[null]}""")]
    [InlineData("""{"label":"x","properties":{},"length":10,"sha256":"00","splices":[{}]}""")]
    [InlineData("""{"label":"x","properties":{},"length":10,"sha256":"00","splices":[{"offset":0,"length":0,"bytes":"not base 64!"}]}""")]
    [InlineData("""{"label":"\ud800","properties":{},"length":10,"sha256":"00","splices":[]}""")]
    [InlineData("""{"label":"x","properties":{},"length":10,"sha256":"00","splices":7}""")]
    public void A_record_that_is_none_is_refused(string json)
    {
        var model = With(("onnxsteer.patch.1", json));
        Assert.Equal(1, PatchRecord.Count(model));
        Assert.Contains("no readable patch record", Assert.Throws<OnnxException>(() => PatchRecord.All(model)).Message, StringComparison.Ordinal);
        Assert.Throws<OnnxException>(() => PatchRecord.Undo(model));
    }

    [Fact]
    public void Deep_json_is_refused() => A_record_that_is_none_is_refused(new string('[', 100_000));

    [Theory]
    [InlineData(10, "")]
    [InlineData(0, "")]
    [InlineData(-1, "")]
    [InlineData(long.MaxValue, "")]
    [InlineData(long.MinValue, "")]
    [InlineData(10, "-1,0")]
    [InlineData(10, "0,-1")]
    [InlineData(10, "5,0;4,0")]
    [InlineData(10, "0,9223372036854775807")]
    [InlineData(10, "9223372036854775807,0")]
    [InlineData(long.MaxValue, "9223372036854775807,9223372036854775807")]
    [InlineData(long.MaxValue, "9223372036854775806,1;9223372036854775807,1")]
    [InlineData(long.MaxValue, "0,20;9223372036854775807,0")]
    [InlineData(long.MinValue, "0,20")]
    [InlineData(10, "0,20;0,20")]
    [InlineData(10, "-9223372036854775808,-9223372036854775808")]
    [InlineData(10, "11,0")]
    public void Ranges_that_cannot_be_are_refused(long length, string splices)
    {
        var parts = splices.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(part => part.Split(',')).Select(part => $$"""{"offset":{{part[0]}},"length":{{part[1]}},"bytes":"AAAA"}""");
        var model = With(("onnxsteer.patch.1", FormattableString.Invariant($$"""{"label":"x","properties":{},"length":{{length}},"sha256":"00","splices":[{{string.Join(",", parts)}}]}""")));
        Assert.Single(PatchRecord.All(model));
        Assert.Contains("removing patch 'x' does not give back", Assert.Throws<OnnxException>(() => PatchRecord.Undo(model)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Entries_are_ordered_by_number_and_others_are_left_alone()
    {
        var model = With(("onnxsteer.patch.10", Whole), ("onnxsteer.patch.9", Whole.Replace("\"x\"", "\"nine\"", StringComparison.Ordinal)), ("onnxsteer.patch.", "no"),
            ("onnxsteer.patch.-1", "no"), ("onnxsteer.patch.one", "no"), ("onnxsteer.patch.99999999999", "no"), ("onnxsteer.patch.2147483647", "no"), ("onnxsteer.other", "no"));
        Assert.Equal(["nine", "x"], PatchRecord.All(model).Select(record => record.Label));
        var patched = model.Apply(PatchTests.Titled(GraphPatch.Empty, "next"));
        Assert.NotNull(patched.MetadataOf("onnxsteer.patch.11"));
        Assert.Equal("next", PatchRecord.All(patched)[^1].Label);
    }

    [Fact]
    public void What_is_too_large_for_a_record_is_kept_in_a_file()
    {
        var proto = new ModelProto { IrVersion = 9, Graph = new GraphProto { Node = { new NodeProto { OpType = "Big", Output = { "v" }, DocString = new string('x', 17 << 20) } } } };
        var model = Model.Parse(proto.ToByteArray());
        var patched = model.Apply(PatchTests.Titled(GraphPatch.Empty.With(new Remove("big", Graph.MainPath, Part.Node, 0)), "p"));
        Assert.Empty(patched.Graph.Nodes);
        Assert.InRange(patched.Source.Length, 0, 1000);
        Assert.Equal(["model.onnx.onnxsteer1.data"], patched.NewFiles.Keys);
        Assert.Equal(model.Source.ToArray(), PatchRecord.Undo(patched).Source.ToArray());
    }

    private static Model With(params (string Key, string Value)[] entries)
    {
        var proto = new ModelProto { IrVersion = 9, Graph = new GraphProto() };
        proto.MetadataProps.AddRange(entries.Select(entry => new StringStringEntryProto { Key = entry.Key, Value = entry.Value }));
        return Model.Parse(proto.ToByteArray());
    }
}
