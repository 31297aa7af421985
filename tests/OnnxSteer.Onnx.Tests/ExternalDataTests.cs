using System.Globalization;
using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Data outside the model file: found where they are, and never looked for outside the folder.</summary>
public sealed class ExternalDataTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("../w.bin")]
    [InlineData("sub/../../w.bin")]
    [InlineData("..")]
    [InlineData("..\\w.bin")]
    [InlineData("sub\\..\\..\\w.bin")]
    [InlineData("/etc/hostname")]
    [InlineData("\\w.bin")]
    [InlineData("\\\\server\\share\\w.bin")]
    [InlineData("C:\\w.bin")]
    [InlineData("C:w.bin")]
    [InlineData("file:///w.bin")]
    [InlineData("w\0.bin")]
    public void Locations_outside_the_folder_are_not_followed(string location)
    {
        var message = Refusal(location);
        Assert.Contains(location, message, StringComparison.Ordinal);
        Assert.Contains("leads out of the model's folder", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void A_location_is_needed(string? location) => Assert.Contains("without a location", Refusal(location), StringComparison.Ordinal);

    [Theory]
    [InlineData("w.bin")]
    [InlineData("./w.bin")]
    [InlineData("sub/w.bin")]
    [InlineData("sub\\w.bin")]
    [InlineData("sub//./w.bin")]
    public void Locations_below_the_folder_are_read(string location)
    {
        Directory.CreateDirectory(_folder["sub"]);
        File.WriteAllBytes(_folder["w.bin"], [0, 1, 2, 3, 4]);
        File.WriteAllBytes(_folder["sub", "w.bin"], [0, 1, 2, 3, 4]);
        Assert.Equal([1, 2, 3], Open(location, "1", "3").Graph.Initializers[0].ToBytes());
    }

    [Theory]
    [InlineData("0", "4", "3 bytes, but says that 4")]
    [InlineData("0", "2", "3 bytes, but says that 2")]
    [InlineData("3", null, "wants 3 bytes from byte 3 on")]
    [InlineData("9223372036854775807", null, "which has 5")]
    [InlineData("9223372036854775807", "3", "which has 5")]
    [InlineData("9223372036854775808", null, "the offset '9223372036854775808'")]
    [InlineData("-1", null, "the offset '-1'")]
    [InlineData("0", "-3", "the length '-3'")]
    [InlineData("0x10", null, "the offset '0x10'")]
    [InlineData("", null, "the offset ''")]
    [InlineData("0", "three", "the length 'three'")]
    public void Ranges_outside_the_file_are_refused(string offset, string? length, string expected)
    {
        File.WriteAllBytes(_folder["w.bin"], [0, 1, 2, 3, 4]);
        Assert.Contains(expected, Refusal("w.bin", offset, length), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1L << 60, 1L << 60)]
    [InlineData(-3, 1)]
    [InlineData(long.MaxValue, 2)]
    public void Impossible_shapes_are_refused(long rows, long columns)
    {
        File.WriteAllBytes(_folder["w.bin"], [0, 1, 2, 3, 4]);
        Assert.Contains($"impossible shape [{rows.ToString(CultureInfo.InvariantCulture)}, ", Refusal("w.bin", dims: [rows, columns]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_named_with_a_tensor_in_it()
    {
        var message = Refusal("w.bin");
        Assert.Contains(_folder["w.bin"], message, StringComparison.Ordinal);
        Assert.Contains("missing", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_is_no_data_file()
    {
        Directory.CreateDirectory(_folder["w.bin"]);
        Assert.Contains("missing, or is not a file", Refusal("w.bin"), StringComparison.Ordinal);
        Assert.Contains("cannot be opened", Assert.Throws<OnnxException>(() => Model.Open(_folder["w.bin"])).Message, StringComparison.Ordinal);
    }

    [UnixFact]
    public void Links_are_followed_but_not_in_circles() => Patience.WithinAMinute(() =>
    {
        Directory.CreateDirectory(_folder["blobs"]);
        File.WriteAllBytes(_folder["blobs", "b"], [0, 1, 2, 3, 4]);
        File.CreateSymbolicLink(_folder["w.bin"], "blobs/b");
        Assert.Equal([1, 2, 3], Open("w.bin", "1", "3").Graph.Initializers[0].ToBytes());
        File.CreateSymbolicLink(_folder["nowhere.bin"], "blobs/none");
        Assert.Contains("missing", Refusal("nowhere.bin"), StringComparison.Ordinal);
        File.CreateSymbolicLink(_folder["a.bin"], "b.bin");
        File.CreateSymbolicLink(_folder["b.bin"], "a.bin");
        Assert.Contains("a.bin", Refusal("a.bin"), StringComparison.Ordinal);
        Assert.Contains("a.bin", Assert.Throws<OnnxException>(() => Model.Open(_folder["a.bin"])).Message, StringComparison.Ordinal);
    });

    [UnixFact]
    public void Pipes_and_devices_do_not_keep_anyone_waiting() => Patience.WithinAMinute(() =>
    {
        Pipe.Create(_folder["pipe"]);
        Assert.Contains("which has 0", Refusal("pipe"), StringComparison.Ordinal);
        Assert.Contains("is empty", Assert.Throws<OnnxException>(() => Model.Open(_folder["pipe"])).Message, StringComparison.Ordinal);
        Assert.Contains("is empty", Assert.Throws<OnnxException>(() => Model.Open("/dev/zero")).Message, StringComparison.Ordinal);
        // Nothing is wanted of it, so it does no harm: not when read, not when copied.
        Pipe.Create(_folder["genai_config.json"]);
        var empty = Open("pipe", dims: [0]);
        Assert.Empty(empty.Graph.Initializers[0].ToBytes());
        Assert.Contains("genai_config.json", Assert.Throws<OnnxException>(() => ModelFile.Locate(_folder.Path)).Message, StringComparison.Ordinal);
        using var target = new TemporaryFolder();
        empty.SaveTo(target["copy"]);
        Assert.Equal(0, new FileInfo(target["copy", "pipe"]).Length);
    });

    [Fact]
    public void A_data_file_that_goes_away_is_named()
    {
        File.WriteAllBytes(_folder["w.bin"], [0, 1, 2, 3, 4]);
        var model = Open("w.bin");
        File.Delete(_folder["w.bin"]);
        Assert.Contains("w.bin", Assert.Throws<OnnxException>(() => model.Graph.Initializers[0].ToBytes()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tensors_in_attributes_lists_and_sparse_tensors_are_checked_too()
    {
        TensorProto[] tensors = [Tensor("w.bin", null, null, [3])];
        foreach (var proto in new[]
        {
            new GraphProto { Node = { Node(new AttributeProto { T = tensors[0] }) } },
            new GraphProto { Node = { Node(new AttributeProto { Tensors = { tensors } }) } },
            new GraphProto { Node = { Node(new AttributeProto { SparseTensor = new SparseTensorProto { Indices = tensors[0] } }) } },
            new GraphProto { Node = { Node(new AttributeProto { SparseTensors = { new SparseTensorProto { Values = tensors[0] } } }) } },
            new GraphProto { Node = { Node(new AttributeProto { G = new GraphProto { Initializer = { tensors } } }) } },
            new GraphProto { SparseInitializer = { new SparseTensorProto { Values = tensors[0] } } },
        })
        {
            var model = new ModelProto { IrVersion = 9, Graph = proto }.ToByteArray();
            Assert.Contains("missing", Assert.Throws<OnnxException>(() => Model.Parse(model, _folder.Path)).Message, StringComparison.Ordinal);
            Assert.Contains("without a folder", Assert.Throws<OnnxException>(() => Model.Parse(model)).Message, StringComparison.Ordinal);
        }
        var function = new ModelProto { IrVersion = 9, Graph = new GraphProto(), Functions = { new FunctionProto { AttributeProto = { new AttributeProto { T = tensors[0] } } } } };
        Assert.Contains("missing", Assert.Throws<OnnxException>(() => Model.Parse(function.ToByteArray(), _folder.Path)).Message, StringComparison.Ordinal);

        static NodeProto Node(AttributeProto attribute) => new() { OpType = "N", Attribute = { attribute } };
    }

    private string Refusal(string? location, string? offset = null, string? length = null, long[]? dims = null)
    {
        var message = Assert.Throws<OnnxException>(() => Open(location, offset, length, dims)).Message;
        Assert.Contains("'the tensor'", message, StringComparison.Ordinal);
        return message;
    }

    private Model Open(string? location, string? offset = null, string? length = null, long[]? dims = null)
    {
        var model = new ModelProto { IrVersion = 9, Graph = new GraphProto { Initializer = { Tensor(location, offset, length, dims ?? [3]) } } };
        File.WriteAllBytes(_folder["model.onnx"], model.ToByteArray());
        return Model.Open(_folder["model.onnx"]);
    }

    private static TensorProto Tensor(string? location, string? offset, string? length, long[] dims)
    {
        var tensor = new TensorProto { Name = "the tensor", DataType = (int)DataType.UInt8, Dims = { dims }, DataLocation = TensorProto.Types.DataLocation.External };
        foreach (var (key, value) in new[] { ("location", location), ("offset", offset), ("length", length) })
            if (value is not null)
                tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        return tensor;
    }
}
