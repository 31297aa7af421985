using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Onnx.Tests.Generation;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Which file a path means, and files that are written whole.</summary>
public sealed class FileTests : IDisposable
{
    private readonly TemporaryFolder _outer = new();

    private readonly string _folder;

    public FileTests() => _folder = Directory.CreateDirectory(_outer["folder"]).FullName;

    public void Dispose() => _outer.Dispose();

    [Fact]
    public void A_folder_means_the_file_that_its_configuration_names_or_the_usual_one_or_the_only_one()
    {
        Assert.Contains("no .onnx file", Refusal(), StringComparison.Ordinal);
        Touch("some.onnx", "model.onnx.data");
        Assert.Equal("some.onnx", Located());
        Touch("other.onnx");
        Assert.Contains("other.onnx, some.onnx", Refusal(), StringComparison.Ordinal);
        Touch("decoder_model_merged.onnx");
        Assert.Equal("decoder_model_merged.onnx", Located());
        Touch("decoder_model.onnx");
        Assert.Equal("decoder_model.onnx", Located());
        Touch("model.onnx");
        Assert.Equal("model.onnx", Located());
        Configure("""{ "model": { "decoder": { "filename": "other.onnx" } } }""");
        Assert.Equal("other.onnx", Located());
        Assert.Equal(Path.Combine(_folder, "some.onnx"), ModelFile.Locate(Path.Combine(_folder, "some.onnx")));
    }

    [Theory]
    [InlineData("""{ "model": { "decoder": { "pipeline": [] } } }""")]
    [InlineData("""{ "model": {} }""")]
    [InlineData("{}")]
    public void A_configuration_that_names_no_file_leaves_it_to_the_names(string json)
    {
        Touch("model.onnx", "other.onnx");
        Configure(json);
        Assert.Equal("model.onnx", Located());
    }

    [Theory]
    [InlineData("""{ "model": { "decoder": { "filename": "../x.onnx" } } }""", "'../x.onnx' leads out")]
    [InlineData("""{ "model": { "decoder": { "filename": "/x.onnx" } } }""", "leads out")]
    [InlineData("""{ "model": { "decoder": { "filename": "sub/x.onnx" } } }""", "leads out")]
    [InlineData("""{ "model": { "decoder": { "filename": ".." } } }""", "leads out")]
    [InlineData("""{ "model": { "decoder": { "filename": "" } } }""", "leads out")]
    [InlineData("""{ "model": { "decoder": { "filename": null } } }""", "leads out")]
    [InlineData("""{ "model": { "decoder": { "filename": "..\\x.onnx" } } }""", "x.onnx")]
    [InlineData("""{ "model": { "decoder": { "filename": "none.onnx" } } }""", "'none.onnx', which is not in the folder")]
    [InlineData("""{ "model": { "decoder": { "filename": 7 } } }""", "no model.decoder.filename")]
    [InlineData("""{ "model": { "decoder": 7 } }""", "no model.decoder.filename")]
    [InlineData("[]", "no model.decoder.filename")]
    [InlineData("""{ "model": """, "no model.decoder.filename")]
    [InlineData("", "no model.decoder.filename")]
    public void A_configuration_that_leads_astray_is_refused(string json, string expected)
    {
        Touch("model.onnx");
        File.WriteAllBytes(_outer["x.onnx"], []);
        Configure(json);
        var message = Refusal();
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains("genai_config.json", message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_not_there_is_said_so()
    {
        Assert.Contains("no such file or folder", Assert.Throws<OnnxException>(() => ModelFile.Open(Path.Combine(_folder, "none"))).Message, StringComparison.Ordinal);
        Assert.Contains("cannot be opened", Assert.Throws<OnnxException>(() => Model.Open(Path.Combine(_folder, "none"))).Message, StringComparison.Ordinal);
        Assert.Contains("no such file or folder", Assert.Throws<OnnxException>(() => ModelFile.Open("")).Message, StringComparison.Ordinal);
        Assert.Throws<OnnxException>(() => Model.Open(""));
        Assert.Throws<OnnxException>(() => Model.Open("a\0b"));
    }

    [Fact]
    public void An_open_model_stays_readable_when_its_file_is_replaced()
    {
        var bytes = new ModelProto { IrVersion = 9, Graph = new GraphProto { Name = "old" } }.ToByteArray();
        File.WriteAllBytes(Path.Combine(_folder, "model.onnx"), bytes);
        var model = Model.Open(Path.Combine(_folder, "model.onnx"));
        AtomicFile.Write(Path.Combine(_folder, "model.onnx"), stream => stream.Write([1]));
        Assert.Equal(bytes, model.Source.ToArray());
    }

    [Fact]
    public void Ranges_outside_a_source_are_refused()
    {
        File.WriteAllBytes(Path.Combine(_folder, "f"), [1, 2, 3]);
        foreach (var source in new[] { ByteSource.From(new byte[] { 1, 2, 3 }), ByteSource.Open(Path.Combine(_folder, "f")) })
        {
            Assert.Equal([2, 3], source.ToArray(1, 2));
            Assert.Empty(source.ToArray(3, 0));
            Assert.Throws<OnnxException>(() => source.ToArray(2, 2));
            Assert.Throws<OnnxException>(() => source.ToArray(-1, 2));
            Assert.Throws<OnnxException>(() => source.ToArray(long.MaxValue, 2));
            Assert.Throws<OnnxException>(() => source.ToArray(0, long.MaxValue));
        }
    }

    [Fact]
    public void A_file_is_written_whole_or_not_at_all()
    {
        AtomicFile.Write(Path.Combine(_folder, "new", "deep", "f.txt"), stream => stream.Write([1]));
        AtomicFile.Write(Path.Combine(_folder, "new", "deep", "f.txt"), stream => stream.Write([2]));
        Assert.Equal([2], File.ReadAllBytes(Path.Combine(_folder, "new", "deep", "f.txt")));
        foreach (var path in new[] { Path.Combine(_folder, "new", "deep", "f.txt"), Path.Combine(_folder, "other", "deep", "f.txt") })
        {
            Assert.Throws<OperationCanceledException>(() => AtomicFile.Write(path, stream => { stream.Write([3]); throw new OperationCanceledException(); }));
            Assert.Contains("f.txt: the file cannot be written: full", Assert.Throws<OnnxException>(() => AtomicFile.Write(path, stream => { stream.Write([3]); throw new IOException("full"); })).Message, StringComparison.Ordinal);
        }
        Assert.Equal([2], File.ReadAllBytes(Path.Combine(_folder, "new", "deep", "f.txt")));
        Assert.Throws<OnnxException>(() => AtomicFile.Write(Path.Combine(_folder, "new", "deep"), stream => stream.Write([3])));
        Assert.Throws<OnnxException>(() => AtomicFile.Write(Path.Combine(_folder, "new", "deep", "f.txt", "g"), stream => stream.Write([3])));
        Assert.Throws<OnnxException>(() => AtomicFile.Write("", stream => stream.Write([3])));
        Assert.Throws<OnnxException>(() => AtomicFile.Write(Path.Combine(_folder, "new") + "/", stream => stream.Write([3])));
        AtomicFile.Write(Path.Combine(_folder, "new", new string('n', 250)), stream => stream.Write([4]));
        Assert.Equal(["new", "new/deep", "new/deep/f.txt", $"new/{new string('n', 250)}"], Snapshot.Of(_folder).Keys);
    }

    private string Located() => Path.GetFileName(ModelFile.Locate(_folder));

    private string Refusal() => Assert.Throws<OnnxException>(() => ModelFile.Locate(_folder)).Message;

    private void Configure(string json) => File.WriteAllText(Path.Combine(_folder, "genai_config.json"), json);

    private void Touch(params string[] names)
    {
        foreach (var name in names)
            File.WriteAllBytes(Path.Combine(_folder, name), []);
    }
}
