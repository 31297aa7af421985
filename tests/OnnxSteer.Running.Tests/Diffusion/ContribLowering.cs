using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>
/// Rewrites the contrib operators of ONNX Runtime's optimizer for UNets, which have no CPU kernel, to standard operators that
/// compute the same in float32; every value keeps its name. For tests: what is written to files stays as it is.
/// </summary>
internal sealed class ContribLowering
{
    private readonly FactTable _facts;
    private readonly GraphProto _graph;
    private readonly List<NodeProto> _nodes = [];
    private int _count;

    private ContribLowering(Model model, GraphProto graph) => (_facts, _graph) = (FactTable.Of(model.Graph), graph);

    public static Model Lower(Model model)
    {
        if (!model.Graph.Nodes.Any(node => IsLowered(node.OpType)))
            return model;
        var proto = ModelProto.Parser.ParseFrom(model.Source.ToArray());
        var lowering = new ContribLowering(model, proto.Graph);
        foreach (var node in proto.Graph.Node)
            if (IsLowered(node.OpType))
                lowering.Lower(node);
            else
                lowering._nodes.Add(node);
        proto.Graph.Node.Clear();
        proto.Graph.Node.AddRange(lowering._nodes);
        return Model.Parse(proto.ToByteArray(), model.Folder);
    }

    private static bool IsLowered(string op) => op is "GroupNorm" or "SkipGroupNorm" or "NhwcConv" or "BiasSplitGelu" or "BiasAdd" or "MultiHeadAttention";

    private void Lower(NodeProto node)
    {
        var type = _facts[node.Input[0]].DataType;
        switch (node.OpType)
        {
            case "GroupNorm":
                GroupNorm(node, Wide(node.Input[0]), type);
                break;
            case "SkipGroupNorm":
                var channels = _facts[node.Input[1]].LastDim!.Value;
                var skip = Wide(node.Input[3]);
                if (_facts[node.Input[3]] is not { Rank: 4 } facts || facts.LastDim != channels)
                    skip = Add("Reshape", skip, Integers(0, 1, 1, channels));
                var sum = Add("Add", Wide(node.Input[0]), skip);
                if (node.Input.Count > 4 && node.Input[4].Length > 0)
                    sum = Add("Add", sum, Wide(node.Input[4]));
                if (node.Output.Count > 1 && node.Output[1].Length > 0)
                    Narrow(sum, type, node.Output[1]);
                GroupNorm(node, sum, type);
                break;
            case "NhwcConv":
                var conv = new NodeProto { OpType = "Conv", Input = { Transposed(Wide(node.Input[0]), 0, 3, 1, 2), Transposed(Wide(node.Input[1]), 0, 3, 1, 2) }, Output = { Name() } };
                if (node.Input.Count > 2)
                    conv.Input.Add(Wide(node.Input[2]));
                conv.Attribute.AddRange(node.Attribute);
                _nodes.Add(conv);
                Narrow(Transposed(conv.Output[0], 0, 2, 3, 1), type, node.Output[0]);
                break;
            case "BiasSplitGelu":
                var whole = Add("Add", Wide(node.Input[0]), Wide(node.Input[1]));
                var half = _facts[node.Output[0]].LastDim!.Value;
                var gate = Add("Slice", whole, Integers(half), Integers(2 * half), Integers(-1));
                Narrow(Add("Mul", Add("Slice", whole, Integers(0), Integers(half), Integers(-1)), Gelu(gate)), type, node.Output[0]);
                break;
            case "BiasAdd":
                Narrow(Add("Add", Add("Add", Wide(node.Input[0]), Wide(node.Input[1])), Wide(node.Input[2])), type, node.Output[0]);
                break;
            case "MultiHeadAttention":
                Attention(node, type);
                break;
        }
    }

    // [batch, height, width, channels]; each group of channels is normalised over all of space.
    private void GroupNorm(NodeProto node, string x, DataType type)
    {
        var (channels, groups) = (_facts[node.Input[1]].LastDim!.Value, Attribute(node, "groups")!.I);
        var folded = Add("Reshape", x, Integers(0, -1, groups, channels / groups));
        var centred = Add("Sub", folded, Add("ReduceMean", folded, Integers(1, 3)));
        var deviation = Add("Sqrt", Add("Add", Add("ReduceMean", Add("Mul", centred, centred), Integers(1, 3)), Number(Attribute(node, "epsilon")?.F ?? 1e-5f)));
        var norm = Add("Reshape", Add("Div", centred, deviation), Add("Shape", x));
        norm = Add("Add", Add("Mul", norm, Wide(node.Input[1])), Wide(node.Input[2]));
        Narrow(Attribute(node, "activation") is { I: 1 } ? Add("Mul", norm, Add("Sigmoid", norm)) : norm, type, node.Output[0]);
    }

    // Queries, keys and values packed as [batch, tokens, heads, 3, size], or queries apart and [batch, tokens, heads, 2, size].
    private void Attention(NodeProto node, DataType type)
    {
        var heads = Attribute(node, "num_heads")!.I;
        var isPacked = node.Input.Count == 1;
        var size = _facts[node.Input[isPacked ? 0 : 1]].LastDim!.Value;
        var packed = Wide(node.Input[isPacked ? 0 : 1]);
        string Part(int index) => Add("Gather", [packed, Integers0(index)], Int("axis", 3));
        var query = Transposed(isPacked ? Part(0) : Add("Reshape", Wide(node.Input[0]), Integers(0, 0, heads, size)), 0, 2, 1, 3);
        var (key, value) = (Transposed(Part(isPacked ? 1 : 0), 0, 2, 3, 1), Transposed(Part(isPacked ? 2 : 1), 0, 2, 1, 3));
        var scores = Add("Mul", Add("MatMul", query, key), Number(Attribute(node, "scale") is { F: not 0 and var scale } ? scale : (float)(1 / Math.Sqrt(size))));
        var context = Transposed(Add("MatMul", Add("Softmax", [scores], Int("axis", -1)), value), 0, 2, 1, 3);
        Narrow(Add("Reshape", context, Integers(0, 0, heads * size)), type, node.Output[0]);
    }

    private string Gelu(string x) =>
        Add("Mul", Add("Mul", x, Number(0.5f)), Add("Add", Add("Erf", Add("Mul", x, Number((float)Math.Sqrt(0.5)))), Number(1)));

    private string Wide(string value) => _facts[value].DataType == DataType.Float32 ? value : Add("Cast", [value], Int("to", (long)DataType.Float32));

    private void Narrow(string value, DataType type, string output) => _nodes.Add(new NodeProto { OpType = "Cast", Input = { value }, Output = { output }, Attribute = { Int("to", (long)type) } });

    private string Transposed(string value, params long[] axes) =>
        Add("Transpose", [value], new AttributeProto { Name = "perm", Type = AttributeProto.Types.AttributeType.Ints, Ints = { axes } });

    private string Add(string op, params string[] inputs) => Add(op, inputs, []);

    private string Add(string op, string[] inputs, params AttributeProto[] attributes)
    {
        var output = Name();
        _nodes.Add(new NodeProto { OpType = op, Input = { inputs }, Output = { output }, Attribute = { attributes } });
        return output;
    }

    private string Name() => $"lowered.{_count++}";

    private string Integers(params long[] values) => Constant(DataType.Int64, [values.Length], MemoryMarshal.AsBytes<long>(values));

    private string Integers0(long value) => Constant(DataType.Int64, [], BitConverter.GetBytes(value));

    private string Number(float value) => Constant(DataType.Float32, [], BitConverter.GetBytes(value));

    private string Constant(DataType type, long[] dims, ReadOnlySpan<byte> bytes)
    {
        var name = Name();
        _graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)type, Dims = { dims }, RawData = ByteString.CopyFrom(bytes) });
        return name;
    }

    private static AttributeProto? Attribute(NodeProto node, string name) => node.Attribute.FirstOrDefault(attribute => attribute.Name == name);

    private static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };
}
