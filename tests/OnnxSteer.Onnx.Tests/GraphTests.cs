using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Tests;

/// <summary>What graphs and names answer, on models small enough to see through.</summary>
public class GraphTests
{
    [Fact]
    public void Bodies_are_named_after_their_nodes()
    {
        var model = Model("X", "X", "", "Y", "");
        Assert.Equal(["main", "main/X:then_branch", "main/X:else_branch", "main/X#1:then_branch", "main/X#1:else_branch", "main/#2:then_branch", "main/#2:else_branch",
            "main/Y:then_branch", "main/Y:else_branch", "main/#4:then_branch", "main/#4:else_branch"], model.Graphs.Select(graph => graph.Path));
        // Also when nodes come before them.
        var patched = model.Apply(GraphPatch.Empty.With(new AddNode("x", "main", Anchor.Start, new NodeProto { OpType = "New", Output = { "new" } })));
        Assert.Equal(model.Graphs.Select(graph => graph.Path), patched.Graphs.Select(graph => graph.Path));
    }

    [Fact]
    public void Names_made_to_look_like_paths_do_not_mix_them_up()
    {
        var model = Model("X", "X#1", "X", "a:then_branch/b", "", "#3");
        Assert.Equal(model.Graphs.Length, model.Graphs.Select(graph => graph.Path).Distinct().Count());
        foreach (var graph in model.Graphs)
            Assert.Same(graph, model.GraphAt(graph.Path));
    }

    [Fact]
    public void A_function_has_opsets_of_its_own()
    {
        var proto = Proto();
        proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "ai.onnx", Version = 18 });
        proto.OpsetImport.Add(new OperatorSetIdProto { Domain = "local", Version = 1 });
        var function = new FunctionProto { Name = "F", Domain = "local", Node = { If("inner", 0) } };
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 13 });
        proto.Functions.Add(function);
        var model = Parse(proto);
        Assert.Equal((18, 18, 1, null), (model.Opset(), model.Graph.Opset("ai.onnx"), model.Graph.Opset("local"), model.Graph.Opset("other")));
        Assert.Equal((13, null), (model.Functions[0].Opset(), model.Functions[0].Opset("local")));
        Assert.Equal(13, model.GraphAt("function/local:F/inner:then_branch").Opset());
    }

    [Fact]
    public void Constants_are_found_through_identities_and_graphs_around()
    {
        var proto = Proto();
        proto.Graph.Initializer.Add(new TensorProto { Name = "w", DataType = 1, Dims = { 1 }, FloatData = { 7 } });
        proto.Graph.Node.Add(new NodeProto { OpType = "Identity", Input = { "w" }, Output = { "same" } });
        var body = new GraphProto { Input = { new ValueInfoProto { Name = "w" } }, Node = { new NodeProto { OpType = "Identity", Input = { "same" }, Output = { "inner" } } } };
        proto.Graph.Node.Add(new NodeProto { OpType = "Loop", Output = { "o" }, Attribute = { new AttributeProto { Name = "body", G = body } } });
        var inner = Parse(proto).GraphAt("main/#0:body");
        Assert.Equal([7f], inner.Constant("inner")!.ToSingles());
        Assert.Null(inner.Constant("w"));
        Assert.Null(inner.Initializer("w"));
        Assert.Null(inner.Constant("o"));
    }

    [Fact]
    public void Nearest_names_come_by_distance()
    {
        string[] names = ["/model/layers.0/mlp", "/model/layers.1/mlp", "/model/layers.11/mlp", "unlike", "", "/model/layers.1/mlp", "/model/layers.12/attn", "/model/norm"];
        Assert.Equal(" Nearest: '/model/layers.1/mlp', '/model/layers.0/mlp', '/model/layers.11/mlp', '/model/layers.12/attn', '/model/norm'.", Names.Nearest("/model/layers.1/mlq", names));
        Assert.Equal("", Names.Nearest("x", []));
        // Long names that differ everywhere must not take long.
        var random = new Random(1);
        var many = Enumerable.Range(0, 100_000).Select(_ => string.Concat(Enumerable.Range(0, 40).Select(_ => (char)random.Next('a', 'z')))).ToList();
        Assert.StartsWith($" Nearest: '{many[7]}'", Names.Nearest(many[7] + "x", many), StringComparison.Ordinal);
    }

    [Fact]
    public void Integers_of_every_size_are_read()
    {
        Assert.Equal([-2L, 3], Tensor(DataType.Int16, [0xFE, 0xFF, 3, 0]).ToInt64s());
        Assert.Equal([65534L, 3], Tensor(DataType.UInt16, [0xFE, 0xFF, 3, 0]).ToInt64s());
        Assert.Equal([-2L, 3], Tensor(DataType.Int8, [0xFE, 3]).ToInt64s());
        Assert.Equal([254L, 3], Tensor(DataType.UInt8, [0xFE, 3]).ToInt64s());
        Assert.Equal([4294967294L, 3], Tensor(DataType.UInt32, [0xFE, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0]).ToInt64s());
        Assert.Equal([1.5f, -2], Tensor(DataType.Float16, [0x00, 0x3E, 0x00, 0xC0]).ToSingles());
        Assert.Equal([1.5f, -2], Tensor(DataType.BFloat16, [0xC0, 0x3F, 0x00, 0xC0]).ToSingles());
        Assert.Contains("float16", Assert.Throws<OnnxException>(() => Tensor(DataType.Float16, [0, 0, 0, 0]).ToInt64s()).Message, StringComparison.Ordinal);
        Assert.Contains("int8", Assert.Throws<OnnxException>(() => Tensor(DataType.Int8, [0, 0]).ToSingles()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_gives_no_bytes_beyond_its_own()
    {
        var tensor = Tensor(DataType.UInt8, [1, 2]);
        var three = new byte[3];
        Assert.Throws<OnnxException>(() => tensor.Read(0, three));
        Assert.Throws<OnnxException>(() => tensor.Read(-1, three.AsSpan(0, 1)));
        tensor.Read(1, three.AsSpan(0, 1));
        Assert.Equal(2, three[0]);
    }

    private static Tensor Tensor(DataType type, byte[] raw)
    {
        var proto = Proto();
        proto.Graph.Initializer.Add(new TensorProto { Name = "w", DataType = (int)type, Dims = { 2 }, RawData = Google.Protobuf.ByteString.CopyFrom(raw) });
        return Parse(proto).Graph.Initializers[0];
    }

    private static Model Model(params string[] names)
    {
        var proto = Proto();
        proto.Graph.Node.AddRange(names.Select(If));
        return Parse(proto);
    }

    private static NodeProto If(string name, int index) => new()
    {
        Name = name,
        OpType = "If",
        Output = { $"o{index}" },
        Attribute = { new AttributeProto { Name = "then_branch", G = new GraphProto() }, new AttributeProto { Name = "else_branch", G = new GraphProto() } },
    };

    private static ModelProto Proto() => new() { IrVersion = 10, Graph = new GraphProto() };

    private static Model Parse(ModelProto proto) => Onnx.Model.Parse(Google.Protobuf.MessageExtensions.ToByteArray(proto));
}
