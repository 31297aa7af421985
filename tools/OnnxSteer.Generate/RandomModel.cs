using System.Buffers.Binary;
using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.Collections;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Protobuf;
using static OnnxSteer.Onnx.Protobuf.AttributeProto.Types;

namespace OnnxSteer.Generate;

/// <summary>
/// Random models that are sound as graphs (sorted, one producer for each name, every name read is defined) and use all
/// that the format has: bodies of If, Loop and Scan with captures, functions, several opsets, sparse initializers, data in
/// raw, typed and external form.
/// </summary>
public sealed class RandomModel
{
    public const string DataFile = "weights.bin";

    private static readonly string[] Operators = ["Add", "MatMul", "Relu", "LayerNormalization", "Concat", "MyOp", "Constant", "Cast", "Reshape", "Transpose", "Gather"];

    private readonly Random _random;
    private readonly List<byte> _data = [];
    private int _names;

    private RandomModel(int seed) => _random = new Random(seed);

    /// <summary>The model of a seed, and the data that its external tensors lie in.</summary>
    public static (ModelProto Model, byte[] Data) Make(int seed)
    {
        var generator = new RandomModel(seed);
        var model = generator.MakeModel();
        return (model, generator._data.ToArray());
    }

    /// <summary>Writes models of consecutive seeds, each in a folder of its own, in encodings as odd as they come.</summary>
    public static void Write(string folder, int seed, int count)
    {
        for (var end = seed + count; seed < end; seed++)
        {
            var (model, data) = Make(seed);
            var own = Directory.CreateDirectory(Path.Combine(folder, seed.ToString(CultureInfo.InvariantCulture))).FullName;
            File.WriteAllBytes(Path.Combine(own, "model.onnx"), WireEncoder.Encode(model, new Random(seed)));
            File.WriteAllBytes(Path.Combine(own, DataFile), data);
        }
    }

    private ModelProto MakeModel()
    {
        var model = new ModelProto
        {
            IrVersion = _random.Next(3, 12),
            ProducerName = "généré",
            ProducerVersion = "1",
            ModelVersion = -_random.Next(),
            DocString = "",
            Graph = MakeGraph(0, []),
        };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 18 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "local", Version = 3 });
        for (var i = _random.Next(3); i > 0; i--)
            model.MetadataProps.Add(new StringStringEntryProto { Key = NewName("key"), Value = NewName("välue") });
        for (var i = _random.Next(3); i > 0; i--)
            model.Functions.Add(MakeFunction());
        return model;
    }

    private GraphProto MakeGraph(int depth, List<string> outer)
    {
        var graph = new GraphProto { Name = depth == 0 ? "main_graph" : NewName("body") };
        List<string> inputs = [.. Enumerable.Range(0, _random.Next(depth == 0 ? 1 : 0, 4)).Select(_ => NewName("in"))];
        graph.Input.AddRange(inputs.Select(MakeInfo));
        var own = new List<string>(inputs);
        for (var i = _random.Next(4); i > 0; i--)
        {
            var tensor = MakeTensor(NewName("w"));
            graph.Initializer.Add(tensor);
            own.Add(tensor.Name);
            if (depth == 0 && _random.Chance(0.3))
                graph.Input.Add(MakeInfo(tensor.Name));
        }
        if (_random.Chance(0.3))
        {
            graph.SparseInitializer.Add(MakeSparse(NewName("sparse")));
            own.Add(graph.SparseInitializer[0].Values.Name);
        }
        var made = MakeNodes(graph.Node, depth, own, outer);
        graph.Output.AddRange(made.Concat(inputs.Take(1)).Where(_ => _random.Chance(0.4)).DefaultIfEmpty(made[^1]).Select(MakeInfo));
        if (outer.Count > 0 && _random.Chance(0.2))
            graph.Output.Add(MakeInfo(_random.Pick(outer)));
        graph.ValueInfo.AddRange(made.Where(_ => _random.Chance(0.5)).Select(MakeInfo));
        if (_random.Chance(0.2))
            graph.QuantizationAnnotation.Add(new TensorAnnotation { TensorName = "t", QuantParameterTensorNames = { new StringStringEntryProto { Key = "SCALE_TENSOR", Value = "s" } } });
        return graph;
    }

    private List<string> MakeNodes(RepeatedField<NodeProto> nodes, int depth, List<string> own, List<string> outer)
    {
        var made = new List<string>();
        for (var i = _random.Next(1, depth == 0 ? 9 : 5); i > 0; i--)
        {
            List<string> visible = [.. own, .. outer];
            var node = MakeNode(depth, visible);
            nodes.Add(node);
            foreach (var output in node.Output.Where(name => name.Length > 0))
            {
                own.Add(output);
                made.Add(output);
            }
        }
        return made;
    }

    private NodeProto MakeNode(int depth, List<string> visible)
    {
        var node = new NodeProto { OpType = _random.Pick(Operators) };
        if (_random.Chance(0.7))
            node.Name = _random.Chance(0.2) ? "same/name" : NewName("/layer/node");
        if (_random.Chance(0.2))
            node.Domain = _random.Pick(["com.microsoft", "local", "ai.onnx"]);
        if (_random.Chance(0.1))
            node.Overload = "o";
        for (var i = _random.Next(4); i > 0 && visible.Count > 0; i--)
            node.Input.Add(_random.Chance(0.15) ? "" : _random.Pick(visible));
        for (var i = _random.Next(4); i > 0; i--)
            node.Output.Add(_random.Chance(0.3) ? "" : NewName("v"));
        node.Output.Add(NewName("v"));
        for (var i = _random.Next(3); i > 0; i--)
            node.Attribute.Add(MakeAttribute(NewName("attr")));
        if (_random.Chance(0.2))
            node.MetadataProps.Add(new StringStringEntryProto { Key = "namespace", Value = NewName("model.layers") });
        if (depth < 3 && _random.Chance(0.3))
            AddBodies(node, depth, visible);
        return node;
    }

    private void AddBodies(NodeProto node, int depth, List<string> visible)
    {
        (node.OpType, var names) = _random.Next(4) switch
        {
            0 => ("If", new[] { "then_branch", "else_branch" }),
            1 => ("Loop", ["body"]),
            2 => ("Scan", ["body"]),
            _ => ("Several", ["bodies"]),
        };
        foreach (var name in names)
        {
            var attribute = new AttributeProto { Name = name, Type = AttributeType.Graph };
            if (node.OpType == "Several")
                attribute.Graphs.AddRange(Enumerable.Range(0, _random.Next(1, 3)).Select(_ => MakeGraph(depth + 1, visible)));
            else
                attribute.G = MakeGraph(depth + 1, visible);
            node.Attribute.Insert(_random.Next(node.Attribute.Count + 1), attribute);
        }
    }

    private FunctionProto MakeFunction()
    {
        var function = new FunctionProto { Name = NewName("Function"), Domain = "local", Attribute = { "alpha" } };
        if (_random.Chance(0.3))
            function.Overload = "o";
        var own = new List<string>();
        for (var i = _random.Next(1, 3); i > 0; i--)
            own.Add(NewName("fin"));
        function.Input.AddRange(own);
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = _random.Next(13, 22) });
        var made = MakeNodes(function.Node, 1, own, []);
        function.Output.Add(made[^1]);
        if (_random.Chance(0.5))
            function.AttributeProto.Add(MakeAttribute("beta"));
        if (_random.Chance(0.5))
            function.ValueInfo.Add(MakeInfo(made[0]));
        return function;
    }

    private AttributeProto MakeAttribute(string name)
    {
        var attribute = new AttributeProto { Name = name };
        switch (_random.Next(11))
        {
            case 0:
                (attribute.I, attribute.Type) = (_random.NextInt64(long.MinValue, long.MaxValue), AttributeType.Int);
                break;
            case 1:
                (attribute.F, attribute.Type) = (_random.NextSingle(), AttributeType.Float);
                break;
            case 2:
                (attribute.S, attribute.Type) = (ByteString.CopyFromUtf8("tëxt"), AttributeType.String);
                break;
            case 3:
                (attribute.T, attribute.Type) = (MakeTensor(""), AttributeType.Tensor);
                break;
            case 4:
                attribute.Ints.AddRange(Enumerable.Range(0, _random.Next(5)).Select(_ => _random.NextInt64(-3, 300)));
                break;
            case 5:
                attribute.Floats.AddRange(Enumerable.Range(0, _random.Next(5)).Select(_ => _random.NextSingle()));
                break;
            case 6:
                attribute.Strings.AddRange(new[] { "a", "", "c" }.Select(ByteString.CopyFromUtf8));
                break;
            case 7:
                attribute.Tensors.AddRange([MakeTensor(""), MakeTensor("named")]);
                break;
            case 8:
                attribute.SparseTensor = MakeSparse("");
                break;
            case 9:
                attribute.Tp = MakeType();
                break;
            default:
                attribute.RefAttrName = "alpha";
                break;
        }
        return attribute;
    }

    private SparseTensorProto MakeSparse(string name) => new()
    {
        Values = MakeTensor(name),
        Indices = new TensorProto { DataType = (int)DataType.Int64, Dims = { 2 }, Int64Data = { 1, 5 } },
        Dims = { 3, 4 },
    };

    private TensorProto MakeTensor(string name)
    {
        var type = _random.Pick([DataType.Float32, DataType.Float16, DataType.Int64, DataType.Int32, DataType.UInt8, DataType.Int8, DataType.Bool,
            DataType.Float64, DataType.UInt64, DataType.UInt32, DataType.BFloat16, DataType.Int4, DataType.Int16]);
        var tensor = new TensorProto { DataType = (int)type };
        if (name.Length > 0)
            tensor.Name = name;
        for (var i = _random.Next(4); i > 0; i--)
            tensor.Dims.Add(_random.Next(_random.Chance(0.1) ? 0 : 1, 5));
        var count = tensor.Dims.Aggregate(1L, (product, size) => product * size);
        var bytes = new byte[(count * type.Bits() + 7) / 8];
        _random.NextBytes(bytes);
        if (type == DataType.Bool)
            bytes = [.. bytes.Select(value => (byte)(value & 1))];
        switch (_random.Next(3))
        {
            case 0:
                tensor.RawData = ByteString.CopyFrom(bytes);
                tensor.DataLocation = TensorProto.Types.DataLocation.Default;
                break;
            case 1:
                AddTyped(tensor, type, bytes);
                break;
            default:
                AddExternal(tensor, bytes);
                break;
        }
        return tensor;
    }

    private static void AddTyped(TensorProto tensor, DataType type, byte[] bytes)
    {
        var size = Math.Max(1, type.Bits() / 8);
        for (var i = 0; i < bytes.Length; i += size)
        {
            var element = bytes.AsSpan(i, size);
            switch (type)
            {
                case DataType.Float32:
                    tensor.FloatData.Add(BinaryPrimitives.ReadSingleLittleEndian(element));
                    break;
                case DataType.Float64:
                    tensor.DoubleData.Add(BinaryPrimitives.ReadDoubleLittleEndian(element));
                    break;
                case DataType.Int64:
                    tensor.Int64Data.Add(BinaryPrimitives.ReadInt64LittleEndian(element));
                    break;
                case DataType.UInt64:
                    tensor.Uint64Data.Add(BinaryPrimitives.ReadUInt64LittleEndian(element));
                    break;
                case DataType.UInt32:
                    tensor.Uint64Data.Add(BinaryPrimitives.ReadUInt32LittleEndian(element));
                    break;
                case DataType.Int32:
                    tensor.Int32Data.Add(BinaryPrimitives.ReadInt32LittleEndian(element));
                    break;
                case DataType.Int16:
                    tensor.Int32Data.Add(BinaryPrimitives.ReadInt16LittleEndian(element));
                    break;
                case DataType.Float16 or DataType.BFloat16:
                    tensor.Int32Data.Add(BinaryPrimitives.ReadUInt16LittleEndian(element));
                    break;
                case DataType.Int8:
                    tensor.Int32Data.Add((sbyte)element[0]);
                    break;
                default:
                    tensor.Int32Data.Add(element[0]);
                    break;
            }
        }
    }

    private void AddExternal(TensorProto tensor, byte[] bytes)
    {
        _data.AddRange(new byte[_random.Next(5)]);
        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = DataFile });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = _data.Count.ToString(CultureInfo.InvariantCulture) });
        if (_random.Chance(0.7))
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = bytes.Length.ToString(CultureInfo.InvariantCulture) });
        _data.AddRange(bytes);
    }

    private ValueInfoProto MakeInfo(string name) => _random.Chance(0.1) ? new() { Name = name } : new() { Name = name, Type = MakeType() };

    private TypeProto MakeType()
    {
        if (_random.Chance(0.1))
            return new() { SequenceType = new() { ElemType = new() { TensorType = new() { ElemType = 1 } } } };
        var tensor = new TypeProto.Types.Tensor { ElemType = _random.Next(1, 24) };
        if (_random.Chance(0.8))
        {
            tensor.Shape = new TensorShapeProto();
            for (var i = _random.Next(4); i > 0; i--)
                tensor.Shape.Dim.Add(_random.Next(3) switch { 0 => new TensorShapeProto.Types.Dimension { DimValue = _random.Next(100) }, 1 => new() { DimParam = "batch" }, _ => new() });
        }
        return new() { TensorType = tensor };
    }

    private string NewName(string prefix) => string.Create(CultureInfo.InvariantCulture, $"{prefix}_{++_names}");
}
