using System.Text;
using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Whatever the bytes are: read, or refused with an <see cref="OnnxException"/>; never another exception, a hang, or memory without end.</summary>
public class BadModelTests
{
    [Fact]
    public void Models_cut_short_anywhere_are_refused() => Seeds.Each(6, seed =>
    {
        using var model = ModelCase.Generated(seed);
        for (var length = 0; length < model.Bytes.Length; length += 1 + length / 500)
            Try(model.Bytes[..length], model.Model.Folder);
        // Cut inside its last field a model cannot be sound.
        var plain = new ModelProto { Graph = new GraphProto { Name = "graph" }, IrVersion = 9, ProducerName = "producer" }.ToByteArray();
        Assert.All(Enumerable.Range(0, plain.Length), length => Assert.Throws<OnnxException>(() => Model.Parse(plain.AsMemory(0, length))));
        Assert.Equal("graph", Model.Parse(plain).Graph.Name);
    });

    [Fact]
    public void Models_with_changed_bytes_are_read_or_refused() => Seeds.Each(1500, seed =>
    {
        using var model = ModelCase.Generated(seed % 40, new Oddity(IsPlain: seed % 2 == 0));
        var random = new Random(seed);
        byte[] bytes = [.. model.Bytes];
        for (var i = random.Next(1, 6); i > 0; i--)
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        Try(bytes, model.Model.Folder);
    });

    [Fact]
    public void Random_bytes_are_refused() => Seeds.Each(2000, seed =>
    {
        var random = new Random(seed);
        var bytes = new byte[random.Next(1, 300)];
        random.NextBytes(bytes);
        Try(bytes, null);
    });

    [Fact]
    public void Refusals_say_which_file_what_is_there_and_what_was_expected()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("is empty", Message([]), StringComparison.Ordinal);
        Assert.Contains("damaged, cut short, or something else", Message(Encoding.UTF8.GetBytes("This is the readme of a model.\n")), StringComparison.Ordinal);
        Assert.Contains("holds no graph", Message(new ModelProto { IrVersion = 9 }.ToByteArray()), StringComparison.Ordinal);
        Assert.Contains("states no ir_version", Message(new ModelProto { Graph = new GraphProto() }.ToByteArray()), StringComparison.Ordinal);
        Assert.Contains("says it holds 1152921504606846975 bytes, but 1 are left", Message([0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]), StringComparison.Ordinal);
        Assert.Contains("longer than 10 bytes", Message([0x08, .. Enumerable.Repeat((byte)0xFF, 11)]), StringComparison.Ordinal);
        Assert.Contains("a name that is not UTF-8", Message([8, 9, .. Delimited(7, Delimited(2, [0xFF]))]), StringComparison.Ordinal);
        Assert.Equal("\uFFFD", Model.Parse((byte[])[8, 9, .. Delimited(7, []), .. Delimited(2, [0xFF])]).Producer);

        string Message(byte[] bytes)
        {
            var path = folder["bad.onnx"];
            File.WriteAllBytes(path, bytes);
            var message = Assert.Throws<OnnxException>(() => Model.Open(path)).Message;
            Assert.StartsWith(path, message, StringComparison.Ordinal);
            return message;
        }
    }

    [Fact]
    public void A_length_alone_takes_no_memory()
    {
        byte[] bytes = [0x08, 9, 0x3A, 0xFE, 0xFF, 0xFF, 0xFF, 0x07, 0];
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<OnnxException>(() => Model.Parse(bytes));
        var tensor = new TensorProto { Name = "huge", DataType = 1, Dims = { 1L << 40 }, RawData = ByteString.CopyFrom(1) };
        var model = Parse(new GraphProto { Initializer = { tensor } });
        Assert.Contains("'huge' has 4398046511104 bytes", Assert.Throws<OnnxException>(() => model.Graph.Initializers[0].ToBytes()).Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Theory]
    [InlineData(32, true)]
    [InlineData(33, false)]
    [InlineData(3000, false)]
    public void Subgraphs_nest_only_so_deep(int depth, bool isRead)
    {
        var bytes = Array.Empty<byte>();
        for (var i = 0; i < depth; i++)
            bytes = Delimited(1, [.. Delimited(4, "If"u8), .. Delimited(5, [.. Delimited(1, "then_branch"u8), .. Delimited(6, bytes)])]);
        AssertNesting([8, 9, .. Delimited(7, bytes)], isRead);
    }

    [Theory]
    [InlineData(60, true)]
    [InlineData(70, false)]
    [InlineData(200_000, false)]
    public void Groups_nest_only_so_deep(int depth, bool isRead) =>
        AssertNesting([8, 9, 0x3A, 0, .. Enumerable.Repeat((byte)0x63, depth), .. Enumerable.Repeat((byte)0x64, depth)], isRead);

    [Theory]
    [InlineData(10, true)]
    [InlineData(5000, false)]
    public void Types_nest_only_so_deep(int depth, bool isRead)
    {
        var bytes = Array.Empty<byte>();
        for (var i = 0; i < depth; i++)
            bytes = Delimited(4, Delimited(1, bytes));
        var input = Model.Parse((byte[])[8, 9, .. Delimited(7, Delimited(11, [.. Delimited(1, "x"u8), .. Delimited(2, bytes)]))]).Graph.Inputs[0];
        if (isRead)
            Assert.Null(input.Dims);
        else
            Assert.Contains("at byte", Assert.Throws<OnnxException>(() => input.Dims).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Two_producers_of_one_value_are_refused_by_name()
    {
        var model = Parse(new GraphProto { Node = { new NodeProto { OpType = "A", Name = "a", Output = { "v" } }, new NodeProto { OpType = "B", Output = { "v" } } } });
        Assert.Contains("'v' of graph 'main' is made by two nodes, A a and B #1", Assert.Throws<OnnxException>(() => model.Graph.Producer("v")).Message, StringComparison.Ordinal);
        Exercise(model);
    }

    [Theory]
    [InlineData("Identity")]
    [InlineData("Transpose")]
    [InlineData("Cast")]
    [InlineData("Add")]
    [InlineData("MatMul")]
    [InlineData("Reshape")]
    [InlineData("Concat")]
    [InlineData("If")]
    public void Circles_and_endless_chains_end(string opType) => Patience.WithinAMinute(() =>
    {
        var graph = new GraphProto { Output = { new ValueInfoProto { Name = "c" } } };
        graph.Node.Add(new NodeProto { OpType = opType, Input = { "a", "a" }, Output = { "a" } });
        graph.Node.Add(new NodeProto { OpType = opType, Input = { "c", "b" }, Output = { "b" } });
        graph.Node.Add(new NodeProto { OpType = opType, Input = { "b", "b", "a" }, Output = { "c" } });
        graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "a", "b" }, Output = { "d" } });
        graph.Node.Add(new NodeProto { OpType = "Reshape", Input = { "a", "b" }, Output = { "e" } });
        graph.Node.Add(new NodeProto { OpType = "Concat", Input = { "a", "b" }, Output = { "sizes" } });
        graph.Node.Add(new NodeProto { OpType = "Reshape", Input = { "a", "sizes" }, Output = { "f" } });
        Exercise(Parse(graph));
        // Backwards, so that each node reads what comes behind it.
        var chain = new GraphProto { Output = { new ValueInfoProto { Name = "v0" } } };
        for (var i = 0; i < 50_000; i++)
            chain.Node.Add(new NodeProto { OpType = opType, Input = { $"v{i + 1}", $"v{i + 1}" }, Output = { $"v{i}" } });
        chain.Node.Add(new NodeProto { OpType = "MatMul", Input = { "v0", "v0" }, Output = { "product" } });
        Exercise(Parse(chain));
    });

    [Theory]
    [InlineData("")]
    [InlineData("Constant")]
    [InlineData("Gather")]
    [InlineData("MatMul")]
    [InlineData("Gemm")]
    [InlineData("MatMulNBits")]
    [InlineData("LayerNormalization")]
    [InlineData("SkipLayerNormalization")]
    [InlineData("GroupQueryAttention")]
    [InlineData("MultiHeadAttention")]
    [InlineData("Sum")]
    [InlineData("Where")]
    [InlineData("Cast")]
    [InlineData("QuantizeLinear")]
    [InlineData("DequantizeLinear")]
    [InlineData("Reshape")]
    [InlineData("Transpose")]
    [InlineData("Softmax")]
    [InlineData("Identity")]
    [InlineData("Concat")]
    [InlineData("Split")]
    [InlineData("Unsqueeze")]
    [InlineData("Squeeze")]
    [InlineData("Slice")]
    [InlineData("Shape")]
    [InlineData("If")]
    [InlineData("ReduceMean")]
    public void Nodes_that_lack_things_break_nothing(string opType) => Seeds.Each(60, seed =>
    {
        var random = new Random(seed);
        var graph = new GraphProto
        {
            Initializer =
            {
                new TensorProto { Name = "ints", DataType = (int)DataType.Int64, Dims = { 3 }, Int64Data = { -7, 1L << 60, 0 } },
                new TensorProto { Name = "short", DataType = (int)DataType.Int64, Dims = { 3 }, Int64Data = { 1 } },
                new TensorProto { Name = "matrix", DataType = 1, Dims = { 2, 3 } },
                new TensorProto { Name = "negative", DataType = 1, Dims = { -2, 3 } },
                new TensorProto { Name = "overflow", DataType = (int)DataType.Int64, Dims = { 1L << 40, 1L << 40 } },
                new TensorProto { Name = "doubles", DataType = (int)DataType.Float64, Dims = { 1 }, DoubleData = { 2 } },
                new TensorProto { Name = "scalar", DataType = 7, Int64Data = { 1 } },
                new TensorProto { Name = "odd", DataType = 999, Dims = { 2 } },
            },
            Input = { new ValueInfoProto { Name = "x" }, new ValueInfoProto { Name = "y", Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = 1, Shape = new TensorShapeProto() } } } },
            Output = { new ValueInfoProto { Name = "o" } },
        };
        string[] names = ["", "x", "y", "nothing", "o", .. graph.Initializer.Select(tensor => tensor.Name)];
        var node = new NodeProto { OpType = opType, Output = { "o" } };
        for (var i = random.Next(5); i > 0; i--)
            node.Input.Add(random.Pick(names));
        for (var i = random.Next(3); i > 0; i--)
            node.Output.Add(random.Pick(["", "p", "q"]));
        foreach (var name in new[] { "axis", "perm", "to", "value", "N", "transB", "axes", "then_branch", "num_heads", "" }.Where(_ => random.Chance(0.4)))
            node.Attribute.Add(random.Next(4) switch
            {
                0 => new AttributeProto { Name = name, I = random.Pick([-1L, 0, 1, 1L << 40, long.MinValue]) },
                1 => new AttributeProto { Name = name, Ints = { 5, -1, 1L << 40 } },
                2 => new AttributeProto { Name = name, T = graph.Initializer[random.Next(graph.Initializer.Count)] },
                _ => new AttributeProto { Name = name, G = new GraphProto() },
            });
        graph.Node.Add(node);
        graph.Node.Add(new NodeProto());
        graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "x", "o" }, Output = { "after" } });
        graph.Node.Add(new NodeProto { OpType = "Reshape", Input = { "x", "o" }, Output = { "shaped" } });
        Exercise(Parse(graph));
    });

    internal static Model Parse(GraphProto graph) => Model.Parse(new ModelProto { IrVersion = 9, Graph = graph }.ToByteArray());

    private static void AssertNesting(byte[] bytes, bool isRead) => Patience.WithinAMinute(() =>
    {
        if (isRead)
            Exercise(Model.Parse(bytes));
        else
            Assert.Contains("at byte", Assert.Throws<OnnxException>(() => Model.Parse(bytes)).Message, StringComparison.Ordinal);
    });

    private static void Try(byte[] bytes, string? folder)
    {
        if (Attempt(() => Model.Parse(bytes, folder)) is { } model)
            Exercise(model);
    }

    // Asks a model everything.
    private static void Exercise(Model model)
    {
        foreach (var tensor in Attempt(() => model.Tensors.ToList()) ?? [])
        {
            Attempt(() => tensor.ToBytes(1 << 20));
            Attempt(tensor.ToInt64s);
            Attempt(tensor.ToSingles);
        }
        foreach (var graph in model.Graphs)
        {
            var facts = Attempt(() => FactTable.Of(graph));
            foreach (var name in graph.Nodes.SelectMany(node => node.Outputs.Concat(node.Inputs)).Concat(graph.Outputs.Select(output => output.Name)).Take(500))
            {
                Attempt(() => facts?[name].ToString());
                Attempt(() => graph.Producer(name));
                Attempt(() => graph.Consumers(name).ToList());
                Attempt(() => graph.Constant(name));
                Attempt(() => GraphPatch.Empty.Intercept(model, new ValuePlace(graph.Path, name), "x", (before, after) => [new NodeProto { OpType = "N", Input = { before }, Output = { after } }]))
                    ?.ToString();
            }
            foreach (var attribute in graph.Nodes.SelectMany(node => node.Attributes).Take(500))
                Attempt(() => (attribute.Ints, attribute.Floats, attribute.String, attribute.Int).ToString());
            Attempt(() => graph.FreeNames);
        }
        Attempt(() => model.Apply(Pruning.To(model, [.. model.Graph.Outputs.Select(output => output.Name)])));
        Attempt(() => PatchRecord.Undo(model));
    }

    private static T? Attempt<T>(Func<T> action) where T : class?
    {
        try
        {
            return action();
        }
        catch (OnnxException)
        {
            return null;
        }
    }

    private static byte[] Delimited(int number, ReadOnlySpan<byte> body)
    {
        var stream = new MemoryStream();
        using (var output = new CodedOutputStream(stream, leaveOpen: true))
        {
            output.WriteTag(number, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(body));
        }
        return stream.ToArray();
    }
}
