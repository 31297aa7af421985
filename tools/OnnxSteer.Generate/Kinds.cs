using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Protobuf;
using static OnnxSteer.Onnx.Protobuf.AttributeProto.Types;

namespace OnnxSteer.Generate;

/// <summary>
/// Small sound models of kinds that no fixture has. Each reads <c>x</c> [batch, tokens, 8] and makes <c>y</c>; all but
/// bfloat16 run on ONNX Runtime's CPU. Named as the TorchScript exporter names things.
/// </summary>
public static class Kinds
{
    public const int Width = 8;

    private const DataType F32 = DataType.Float32;

    /// <summary>The models by name.</summary>
    public static IReadOnlyDictionary<string, ModelProto> All { get; } = new SortedDictionary<string, ModelProto>(StringComparer.Ordinal)
    {
        ["bfloat16"] = Plain(DataType.BFloat16),
        ["float32"] = Plain(F32),
        ["function"] = Function(),
        ["loop"] = Loop(),
        ["loop-if"] = LoopIf(),
        ["scan"] = Scan(),
    };

    /// <summary>Writes each as <c>NAME/model.onnx</c>.</summary>
    public static void Write(string folder)
    {
        foreach (var (name, model) in All)
            File.WriteAllBytes(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, name)).FullName, "model.onnx"), model.ToByteArray());
    }

    private static ModelProto Plain(DataType type) => Model(type, graph =>
    {
        graph.Initializer.Add(Weight("w", type));
        graph.Node.Add(Node("/model/layers.0/mlp/down_proj/MatMul", "MatMul", ["x", "w"]));
        graph.Node.Add(Node("/model/layers.0/Add", "Add", ["x", graph.Node[0].Output[0]]));
        graph.Node.Add(Node("/model/norm/Tanh", "Tanh", [graph.Node[1].Output[0]], "y"));
    });

    // y = Block(Block(x, w), w); a patch inside would steer both calls.
    private static ModelProto Function()
    {
        var model = Model(F32, graph =>
        {
            graph.Initializer.Add(Weight("w", F32));
            graph.Node.Add(Call("/model/layers.0/Block", ["x", "w"], "/model/layers.0/Block_output_0"));
            graph.Node.Add(Call("/model/layers.1/Block", ["/model/layers.0/Block_output_0", "w"], "y"));
        });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "local", Version = 1 });
        model.Functions.Add(new FunctionProto
        {
            Domain = "local",
            Name = "Block",
            Input = { "h", "weight" },
            Output = { "out" },
            OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } },
            Node = { Node("project", "MatMul", ["h", "weight"]), Node("add", "Add", ["h", "project_output_0"]), Node("act", "Tanh", ["add_output_0"], "out") },
        });
        return model;
    }

    private static ModelProto Loop() => Model(F32, graph =>
    {
        graph.Initializer.AddRange([Weight("w", F32), Integer("trips", 3)]);
        graph.Node.Add(Node("/model/Loop", "Loop", ["trips", "", "x"], "y"));
        var body = new GraphProto { Name = "body" };
        body.Input.AddRange([Info("i", DataType.Int64), Info("go_in", DataType.Bool), Info("h", F32, "batch", "tokens", Width)]);
        body.Node.Add(Node("/model/body/MatMul", "MatMul", ["h", "w"]));
        body.Node.Add(Node("/model/body/Tanh", "Tanh", ["/model/body/MatMul_output_0"]));
        body.Node.Add(Node("/model/body/Identity", "Identity", ["go_in"], "go"));
        body.Output.AddRange([Info("go", DataType.Bool), Info("/model/body/Tanh_output_0", F32, "batch", "tokens", Width)]);
        graph.Node[0].Attribute.Add(Body("body", body));
    });

    // An If inside a Loop: two branches that make one value each, two levels down.
    private static ModelProto LoopIf() => Model(F32, graph =>
    {
        graph.Initializer.AddRange([Weight("w", F32), Integer("trips", 4), Integer("two", 2)]);
        graph.Node.Add(Node("/model/Loop", "Loop", ["trips", "", "x"], "y"));
        var body = new GraphProto { Name = "body" };
        body.Input.AddRange([Info("i", DataType.Int64), Info("go_in", DataType.Bool), Info("h", F32, "batch", "tokens", Width)]);
        body.Node.Add(Node("/model/body/Less", "Less", ["i", "two"], "early"));
        body.Node.Add(Node("/model/body/If", "If", ["early"], "next"));
        body.Node[1].Attribute.AddRange([Body("then_branch", Branch("MatMul", "w")), Body("else_branch", Branch("Add", "h"))]);
        body.Node.Add(Node("/model/body/Identity", "Identity", ["go_in"], "go"));
        body.Output.AddRange([Info("go", DataType.Bool), Info("next", F32, "batch", "tokens", Width)]);
        graph.Node[0].Attribute.Add(Body("body", body));

        static GraphProto Branch(string op, string other) => new()
        {
            Name = "branch",
            Node = { Node($"/branch/{op}", op, ["h", other]), Node("/branch/Tanh", "Tanh", [$"/branch/{op}_output_0"], "made") },
            Output = { Info("made", F32, "batch", "tokens", Width) },
        };
    });

    // Over the tokens: h' = tanh(h + x_t w), y_t = h'.
    private static ModelProto Scan() => Model(F32, graph =>
    {
        graph.Initializer.AddRange([Weight("w", F32), Integer("axis", 1)]);
        graph.Node.Add(Node("/model/ReduceMean", "ReduceMean", ["x"]));
        graph.Node[0].Attribute.AddRange([Ints("axes", 1), Int("keepdims", 0)]);
        graph.Node.Add(Node("/model/Scan", "Scan", ["/model/ReduceMean_output_0", "x"], "last"));
        graph.Node[1].Output.Add("y");
        graph.Node[1].Attribute.AddRange([Int("num_scan_inputs", 1), Ints("scan_input_axes", 1), Ints("scan_output_axes", 1)]);
        var body = new GraphProto { Name = "body" };
        body.Input.AddRange([Info("h", F32, "batch", Width), Info("x_t", F32, "batch", Width)]);
        body.Node.Add(Node("/model/body/MatMul", "MatMul", ["x_t", "w"]));
        body.Node.Add(Node("/model/body/Add", "Add", ["h", "/model/body/MatMul_output_0"]));
        body.Node.Add(Node("/model/body/Tanh", "Tanh", ["/model/body/Add_output_0"], "h_next"));
        body.Node.Add(Node("/model/body/Identity", "Identity", ["h_next"], "y_t"));
        body.Output.AddRange([Info("h_next", F32, "batch", Width), Info("y_t", F32, "batch", Width)]);
        graph.Node[1].Attribute.Add(Body("body", body));
    });

    private static ModelProto Model(DataType type, Action<GraphProto> build)
    {
        var graph = new GraphProto { Name = "main_graph" };
        graph.Input.Add(Info("x", type, "batch", "tokens", Width));
        build(graph);
        graph.Output.Add(Info("y", type, "batch", "tokens", Width));
        return new ModelProto { IrVersion = 8, ProducerName = "pytorch", ProducerVersion = "2.5.0", Graph = graph, OpsetImport = { new OperatorSetIdProto { Domain = "", Version = 17 } } };
    }

    private static NodeProto Node(string name, string op, IEnumerable<string> inputs, string? output = null) =>
        new() { Name = name, OpType = op, Input = { inputs }, Output = { output ?? $"{name}_output_0" } };

    private static NodeProto Call(string name, IEnumerable<string> inputs, string output) => new() { Name = name, OpType = "Block", Domain = "local", Input = { inputs }, Output = { output } };

    private static AttributeProto Body(string name, GraphProto graph) => new() { Name = name, Type = AttributeType.Graph, G = graph };

    private static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeType.Int, I = value };

    private static AttributeProto Ints(string name, params IEnumerable<long> values) => new() { Name = name, Type = AttributeType.Ints, Ints = { values } };

    private static TensorProto Integer(string name, long value) => new() { Name = name, DataType = (int)DataType.Int64, RawData = ByteString.CopyFrom(BitConverter.GetBytes(value)) };

    private static TensorProto Weight(string name, DataType type)
    {
        var random = new Random(1);
        var values = Enumerable.Range(0, Width * Width).Select(_ => random.NextSingle() - 0.5f).ToArray();
        var bytes = type == F32 ? MemoryMarshal.AsBytes<float>(values)
            : MemoryMarshal.AsBytes<ushort>([.. values.Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))]);
        return new TensorProto { Name = name, DataType = (int)type, Dims = { Width, Width }, RawData = ByteString.CopyFrom(bytes) };
    }

    private static ValueInfoProto Info(string name, DataType type, params ReadOnlySpan<object> dims)
    {
        var shape = new TensorShapeProto();
        foreach (var dim in dims)
            shape.Dim.Add(dim is string text ? new TensorShapeProto.Types.Dimension { DimParam = text } : new() { DimValue = (int)dim });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
    }
}
