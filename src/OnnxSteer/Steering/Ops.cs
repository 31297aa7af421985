using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Google.Protobuf;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>
/// Gathers nodes and constants for one graph under fresh names, in the spelling of the model's opset. Operators move
/// their parameters from attributes to inputs over the years.
/// </summary>
internal sealed class Ops
{
    private readonly Model _model;
    private readonly string _label;
    private readonly List<NodeProto> _nodes = [];
    private readonly List<TensorProto> _tensors = [];
    private readonly FreshNames _names;
    private readonly Dictionary<string, string> _integers = [];
    private readonly Dictionary<string, string> _constants = [];

    /// <param name="model">The model.</param>
    /// <param name="label">Label of the edits.</param>
    /// <param name="names">Gives names; shared between the parts of one patch.</param>
    public Ops(Model model, string label, FreshNames names) => (_model, _label, _names) = (model, label, names);

    public Model Model => _model;

    public long Opset => _model.Opset() ?? 0;

    public string Label => _label;

    /// <summary>The nodes so far, which become edits behind an anchor; then the list is empty again.</summary>
    public IEnumerable<Edit> Flush(string graph, Anchor anchor)
    {
        Edit[] edits = [.. _tensors.Select(tensor => new AddInitializer(_label, Graph.MainPath, tensor)), .. _nodes.Select(node => new AddNode(_label, graph, anchor, node))];
        _tensors.Clear();
        _nodes.Clear();
        return edits;
    }

    /// <summary>A name like <paramref name="hint"/> that neither the model nor this patch has.</summary>
    public string Fresh(string hint) => _names.Value(hint);

    public string Node(string hint, string op, params ReadOnlySpan<string> inputs) => Node(hint, op, Fresh(hint), inputs);

    /// <summary>Adds a node with one output of the given name.</summary>
    public string Node(string hint, string op, string output, ReadOnlySpan<string> inputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        var node = new NodeProto { OpType = op, Name = _names.Node(hint) };
        foreach (var input in inputs)
            node.Input.Add(input);
        node.Output.Add(output);
        foreach (var attribute in attributes)
            node.Attribute.Add(attribute);
        _nodes.Add(node);
        return output;
    }

    public string Cast(string hint, string value, DataType to) => Node(hint, "Cast", Fresh(hint), [value], Int("to", (long)to));

    public string Reshape(string hint, string value, params ReadOnlySpan<long> shape) => Node(hint, "Reshape", value, Integers(shape));

    /// <summary>Reduces axes of a tensor, keeping them with size 1 where asked.</summary>
    public string Reduce(string hint, string op, string value, bool keep, params ReadOnlySpan<long> axes)
    {
        // ReduceSum takes its axes as an input from opset 13 on, the others from 18 on.
        var asInput = Opset >= (op == "ReduceSum" ? 13 : 18);
        var keepDims = Int("keepdims", keep ? 1 : 0);
        return asInput ? Node(hint, op, Fresh(hint), [value, Integers(axes)], keepDims) : Node(hint, op, Fresh(hint), [value], keepDims, Ints("axes", axes));
    }

    /// <summary>Splits the last of three axes into parts of the given sizes.</summary>
    public string[] SplitLast(string hint, string value, IReadOnlyList<long> sizes)
    {
        if (sizes.Count == 1)
            return [value];
        var node = new NodeProto { OpType = "Split", Name = _names.Node(hint), Input = { value }, Attribute = { Int("axis", 2) } };
        if (Opset >= 13)
            node.Input.Add(Integers([.. sizes]));
        else
            node.Attribute.Add(Ints("split", [.. sizes]));
        var parts = sizes.Select((_, i) => Fresh($"{hint}.{i}")).ToArray();
        node.Output.AddRange(parts);
        _nodes.Add(node);
        return parts;
    }

    /// <summary>A constant list of integers; equal ones are one initializer.</summary>
    public string Integers(params ReadOnlySpan<long> values)
    {
        var key = string.Join(',', values.ToArray());
        if (!_integers.TryGetValue(key, out var name))
        {
            _integers[key] = name = Fresh("onnxsteer.ints");
            _tensors.Add(Tensor(name, DataType.Int64, [values.Length], MemoryMarshal.AsBytes(values)));
        }
        return name;
    }

    /// <summary>As many ones as a value of one integer says.</summary>
    public string Ones(string hint, string count)
    {
        var one = new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor, T = Tensor("", DataType.Int64, [1], BitConverter.GetBytes(1L)) };
        return Node(hint, "ConstantOfShape", Fresh(hint), [count], one);
    }

    /// <summary>A constant of a floating point type, rounded to nearest from float64, or by a rule of its own.</summary>
    public string Constant(string hint, DataType type, ReadOnlySpan<long> dims, ReadOnlySpan<double> values, Func<DataType, double, double>? round = null)
    {
        var rounded = values.ToArray();
        if (round is not null)
            for (var i = 0; i < rounded.Length; i++)
                rounded[i] = round(type, rounded[i]);
        var bytes = Floats.Bytes(type, rounded);
        // The same site in two branches has the same constants.
        var key = $"{type} {string.Join(',', dims.ToArray())} {Convert.ToHexString(SHA256.HashData(bytes))}";
        if (!_constants.TryGetValue(key, out var name))
        {
            _constants[key] = name = Fresh(hint);
            _tensors.Add(Tensor(name, type, dims, bytes));
        }
        return name;
    }

    public void Add(TensorProto tensor) => _tensors.Add(tensor);

    public static TensorProto Tensor(string name, DataType type, ReadOnlySpan<long> dims, ReadOnlySpan<byte> bytes)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(bytes) };
        foreach (var size in dims)
            tensor.Dims.Add(size);
        return tensor;
    }

    public static AttributeProto Int(string name, long value) =>
        new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    private static AttributeProto Ints(string name, ReadOnlySpan<long> values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
        foreach (var value in values)
            attribute.Ints.Add(value);
        return attribute;
    }
}
