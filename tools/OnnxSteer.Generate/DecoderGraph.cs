using System.Globalization;
using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Protobuf;
using static OnnxSteer.Onnx.Protobuf.AttributeProto.Types;

namespace OnnxSteer.Generate;

/// <summary>The graph of a decoder without real attention, and its weights without their bytes.</summary>
internal sealed class DecoderGraph
{
    public const int NodesPerLayer = 33;

    private const int FloatType = (int)DataType.Float32, Int64Type = (int)DataType.Int64, Expansion = 4;

    private readonly GraphProto _graph = new() { Name = "main_graph" };
    private readonly List<TensorProto> _weights = [];
    private readonly long _width;
    private int _matrices = 100;

    private DecoderGraph(long width) => _width = width;

    public static (ModelProto Model, List<TensorProto> Weights) Make(BigModelOptions options)
    {
        var layers = Math.Max(1, options.Nodes / NodesPerLayer);
        // A layer has 16 width^2 elements, 4 of them attention's; what is missing then goes to the vocabulary.
        var width = Math.Max(8, (long)Math.Sqrt(options.Bytes / sizeof(float) / (16.0 * layers)) / 8 * 8);
        var rest = options.Bytes / sizeof(float) - layers * 16 * width * width;
        var decoder = new DecoderGraph(width);
        decoder.Build(layers, vocabulary: Math.Max(32, rest / width));
        var model = new ModelProto { IrVersion = 8, ProducerName = "pytorch", ProducerVersion = "2.5.0", Graph = decoder._graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 17 });
        return (model, decoder._weights);
    }

    private void Build(int layers, long vocabulary)
    {
        _graph.Input.Add(Info("input_ids", Int64Type, "batch", "sequence"));
        var stream = Node("/model/embed_tokens", "Gather", Weight("model.embed_tokens.weight", vocabulary, _width), "input_ids");
        for (var i = 0; i < layers; i++)
            stream = Layer(string.Create(CultureInfo.InvariantCulture, $"/model/layers.{i}"), stream);
        var last = Linear("/lm_head", Norm("/model/norm", stream), 32);
        _graph.Node[^1].Output[0] = "logits";
        _graph.ValueInfo.Remove(_graph.ValueInfo.Single(info => info.Name == last));
        _graph.Output.Add(Info("logits", FloatType, "batch", "sequence", 32));
    }

    private string Layer(string path, string stream)
    {
        var normed = Norm($"{path}/input_layernorm", stream);
        var (query, key, value) = (Linear($"{path}/self_attn/q_proj", normed), Linear($"{path}/self_attn/k_proj", normed), Linear($"{path}/self_attn/v_proj", normed));
        var gate = Node($"{path}/self_attn", "Sigmoid", Node($"{path}/self_attn", "Mul", query, key));
        var attention = Linear($"{path}/self_attn/o_proj", Node($"{path}/self_attn", "Mul", gate, value));
        stream = Node(path, "Add", stream, attention);
        normed = Norm($"{path}/post_attention_layernorm", stream);
        gate = Linear($"{path}/mlp/gate_proj", normed, Expansion * _width);
        var act = Node($"{path}/mlp/act_fn", "Mul", gate, Node($"{path}/mlp/act_fn", "Sigmoid", gate));
        var wide = Node($"{path}/mlp", "Mul", act, Linear($"{path}/mlp/up_proj", normed, Expansion * _width));
        return Node(path, "Add", stream, Linear($"{path}/mlp/down_proj", wide, _width, Expansion * _width));
    }

    private string Norm(string path, string value)
    {
        var square = Node(path, "Pow", value, Constant(path, 2));
        var mean = Node(path, "ReduceMean", square);
        _graph.Node[^1].Attribute.Add(new AttributeProto { Name = "axes", Type = AttributeType.Ints, Ints = { -1 } });
        var root = Node(path, "Sqrt", Node(path, "Add", mean, Constant(path, 1e-5f)));
        var unit = Node(path, "Mul", value, Node(path, "Div", Constant(path, 1), root));
        return Node(path, "Mul", Weight($"{path[1..].Replace('/', '.')}.weight", _width), unit);
    }

    private string Linear(string path, string value, long columns = 0, long rows = 0) =>
        Node(path, "MatMul", value, Weight(string.Create(CultureInfo.InvariantCulture, $"onnx::MatMul_{_matrices++}"), rows > 0 ? rows : _width, columns > 0 ? columns : _width));

    private string Weight(string name, params ReadOnlySpan<long> dims)
    {
        var tensor = new TensorProto { Name = name, DataType = FloatType };
        tensor.Dims.AddRange(dims.ToArray());
        _weights.Add(tensor);
        return name;
    }

    private string Constant(string path, float value)
    {
        var name = Node(path, "Constant");
        _graph.Node[^1].Attribute.Add(new AttributeProto
        {
            Name = "value",
            Type = AttributeType.Tensor,
            T = new TensorProto { DataType = FloatType, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>([value])) },
        });
        return name;
    }

    // A second node of one operator in a module is called Add_1, a third Add_2.
    private readonly Dictionary<string, int> _taken = [];

    private string Node(string path, string op, params ReadOnlySpan<string> inputs)
    {
        var name = $"{path}/{op}";
        CollectionsMarshal.GetValueRefOrAddDefault(_taken, name, out _)++;
        if (_taken[name] > 1)
            name = string.Create(CultureInfo.InvariantCulture, $"{name}_{_taken[name] - 1}");
        var node = new NodeProto { Name = name, OpType = op, Output = { $"{name}_output_0" } };
        foreach (var input in inputs)
            node.Input.Add(input);
        _graph.Node.Add(node);
        _graph.ValueInfo.Add(Info(node.Output[0], FloatType, "batch", "sequence", "channels"));
        return node.Output[0];
    }

    private static ValueInfoProto Info(string name, int type, params ReadOnlySpan<object> dims)
    {
        var shape = new TensorShapeProto();
        foreach (var dim in dims)
            shape.Dim.Add(dim is string text ? new TensorShapeProto.Types.Dimension { DimParam = text } : new() { DimValue = (int)dim });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = type, Shape = shape } } };
    }
}
