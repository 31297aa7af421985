using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Ort.Tests;

/// <summary>Tiny models, made here.</summary>
internal static class Models
{
    /// <summary>A model of these nodes; <paramref name="fill"/> adds inputs, outputs and the rest to its graph.</summary>
    public static ModelProto Of(Action<GraphProto> fill, params NodeProto[] nodes)
    {
        var graph = new GraphProto { Name = "tiny" };
        graph.Node.AddRange(nodes);
        fill(graph);
        return new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = 17 } } };
    }

    public static Session Open(this ModelProto model, SessionOptions? options = null) => Session.Open(model.ToByteArray(), options);

    public static NodeProto Node(string op, string[] inputs, string[] outputs, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = op };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        node.Attribute.AddRange(attributes);
        return node;
    }

    /// <summary>A tensor's declaration; dimensions are numbers, names, or null for unknown.</summary>
    public static ValueInfoProto Value(string name, ElementType type, params object?[] dimensions)
    {
        var shape = new TensorShapeProto();
        foreach (var dimension in dimensions)
            shape.Dim.Add(dimension switch
            {
                int size => new TensorShapeProto.Types.Dimension { DimValue = size },
                string symbol => new TensorShapeProto.Types.Dimension { DimParam = symbol },
                _ => new TensorShapeProto.Types.Dimension(),
            });
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } },
        };
    }

    public static TensorProto Floats(string name, long[] dimensions, params float[] data)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)ElementType.Float };
        tensor.Dims.AddRange(dimensions);
        tensor.FloatData.AddRange(data);
        return tensor;
    }

    /// <summary>y = x, of any element type and shape.</summary>
    public static ModelProto Identity(ElementType type, params object?[] dimensions) => Of(
        graph =>
        {
            graph.Input.Add(Value("x", type, dimensions));
            graph.Output.Add(Value("y", type, dimensions));
        },
        Node("Identity", ["x"], ["y"]));

    /// <summary>y = x * scale, with a scale that a run or an adapter may override; [1] or [width].</summary>
    public static ModelProto Scaled(float scale = 2) => Of(
        graph =>
        {
            graph.Input.Add(Value("x", ElementType.Float, "batch", 3));
            graph.Input.Add(Value("scale", ElementType.Float, "scales"));
            graph.Initializer.Add(Floats("scale", [1], scale));
            graph.Output.Add(Value("y", ElementType.Float, "batch", 3));
        },
        Node("Mul", ["x", "scale"], ["y"]));

    /// <summary>Five nodes over an input [batch,3], with weights: what the leak test runs.</summary>
    public static ModelProto FiveNodes(string input = "x") => Of(
        graph =>
        {
            graph.Input.Add(Value(input, ElementType.Float, "batch", 3));
            graph.Initializer.Add(Floats("w", [3, 3], 1, 0, 0, 0, 1, 0, 0, 0, 1));
            graph.Initializer.Add(Floats("b", [3], 1, 2, 3));
            graph.Output.Add(Value("y", ElementType.Float, "batch", 3));
        },
        Node("MatMul", [input, "w"], ["a"]),
        Node("Add", ["a", "b"], ["c"]),
        Node("Relu", ["c"], ["d"]),
        Node("Sigmoid", ["d"], ["e"]),
        Node("Mul", ["e", input], ["y"]));

    /// <summary>y = x after <c>turns</c> additions of 0, one after the other: a run as long as one likes.</summary>
    public static ModelProto Looping()
    {
        var body = new GraphProto { Name = "body" };
        body.Input.Add(Value("i", ElementType.Int64));
        body.Input.Add(Value("goOnBefore", ElementType.Bool));
        body.Input.Add(Value("before", ElementType.Float));
        body.Node.Add(Node("Identity", ["goOnBefore"], ["goOnAfter"]));
        body.Node.Add(Node("Add", ["before", "zero"], ["after"]));
        body.Initializer.Add(Floats("zero", [], 0));
        body.Output.Add(Value("goOnAfter", ElementType.Bool));
        body.Output.Add(Value("after", ElementType.Float));
        return Of(
            graph =>
            {
                graph.Input.Add(Value("turns", ElementType.Int64));
                graph.Input.Add(Value("goOn", ElementType.Bool));
                graph.Input.Add(Value("x", ElementType.Float));
                graph.Output.Add(Value("y", ElementType.Float));
            },
            Node("Loop", ["turns", "goOn", "x"], ["y"],
                new AttributeProto { Name = "body", Type = AttributeProto.Types.AttributeType.Graph, G = body }));
    }

    public static Dictionary<string, OrtValue> Feed(params ReadOnlySpan<(string Name, OrtValue Value)> inputs)
    {
        var feeds = new Dictionary<string, OrtValue>();
        foreach (var (name, value) in inputs)
            feeds.Add(name, value);
        return feeds;
    }
}
