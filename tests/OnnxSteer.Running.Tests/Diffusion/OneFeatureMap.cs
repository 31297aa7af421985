using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>A model whose only value is a feature map: a convolution that changes nothing, channels first or last.</summary>
internal static class OneFeatureMap
{
    /// <summary>The site to steer.</summary>
    public const string Site = "value:map";

    public static Model Of(int channels, bool isChannelsLast = false, bool isHalf = false)
    {
        var weight = new float[channels * channels];
        for (var i = 0; i < channels; i++)
            weight[i * channels + i] = 1;
        var graph = new GraphProto { Name = "one", Input = { Float("x") }, Output = { Float("y") }, Initializer = { Floats("weight", [channels, channels, 1, 1], weight) } };
        var value = Add(graph, "Conv", isChannelsLast || isHalf ? "conv" : "map", ["x", "weight"]);
        if (isHalf)
            value = Add(graph, "Cast", isChannelsLast ? "half" : "map", [value], new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (long)DataType.Float16 });
        if (isChannelsLast)
            value = Add(graph, "Transpose", "map", [value], Permutation(0, 2, 3, 1));
        if (isChannelsLast)
            value = Add(graph, "Transpose", isHalf ? "back" : "y", [value], Permutation(0, 3, 1, 2));
        if (isHalf || !isChannelsLast)
            Add(graph, "Cast", "y", [value], new AttributeProto { Name = "to", Type = AttributeProto.Types.AttributeType.Int, I = (long)DataType.Float32 });
        return Model.Parse(new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = 17 } } }.ToByteArray());
    }

    /// <summary>Steers the map and runs the model on <c>[rows, channels, height, width]</c>.</summary>
    public static float[] Run(Model model, float[] x, long[] shape, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        using var session = Sessions.Open(model, Runner.OneThread);
        var feeds = new Dictionary<string, OrtValue> { ["x"] = OrtValue.FromMemory(x, shape) };
        foreach (var (name, values) in dials ?? new Dictionary<string, float[]>())
            feeds[name] = OrtValue.FromMemory(values, values.Length);
        using var outputs = session.Run(feeds);
        foreach (var feed in feeds.Values)
            feed.Dispose();
        return outputs["y"].ToSingles();
    }

    private static string Add(GraphProto graph, string op, string output, string[] inputs, params AttributeProto[] attributes)
    {
        graph.Node.Add(new NodeProto { OpType = op, Input = { inputs }, Output = { output }, Attribute = { attributes } });
        return output;
    }

    private static AttributeProto Permutation(params long[] axes) => new() { Name = "perm", Type = AttributeProto.Types.AttributeType.Ints, Ints = { axes } };

    private static ValueInfoProto Float(string name) => new()
    {
        Name = name,
        Type = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor
            {
                ElemType = (int)DataType.Float32,
                Shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension(), new TensorShapeProto.Types.Dimension(), new TensorShapeProto.Types.Dimension(), new TensorShapeProto.Types.Dimension() } },
            },
        },
    };

    private static TensorProto Floats(string name, long[] dims, float[] data) => new() { Name = name, DataType = (int)DataType.Float32, Dims = { dims }, FloatData = { data } };
}
