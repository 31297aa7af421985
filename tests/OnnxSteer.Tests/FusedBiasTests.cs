using Google.Protobuf;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Tests;

/// <summary>Projections whose biases attention adds inside: what they give out is nowhere, and no site may pretend to hold it.</summary>
public sealed class FusedBiasTests
{
    private const int Width = 8;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_projection_whose_bias_attention_adds_is_no_site_and_that_is_said(bool hasBias)
    {
        var model = Model.Parse(Attention(hasBias).ToByteArray());
        var description = ModelDescription.Of(model);
        Assert.Equal("torchscript", description.Table.Dialect);
        var names = description.Table.Sites.Select(site => site.Name).ToList();
        foreach (var part in new[] { "q_proj", "k_proj", "v_proj" })
            Assert.Equal(!hasBias, names.Contains($"model.layers.0.self_attn.{part}"));
        Assert.Contains("model.layers.0.self_attn.o_proj", names);
        Assert.Equal(hasBias, description.Notes.Any(note => note.StartsWith("6 projections of queries, keys or values are no sites, since attention adds their biases inside", StringComparison.Ordinal)));
        // By its value it can be steered as it is.
        Assert.Equal(Hook.After, description.Table.Find("value:/model/layers.0/self_attn/q_proj/MatMul_output_0").Places[0].Hook);
    }

    // Two blocks of attention alone, as ONNX Runtime fuses them.
    private static ModelProto Attention(bool hasBias)
    {
        var graph = new GraphProto { Input = { Info("hidden") }, Output = { Info("/model/layers.1/Add_output_0") } };
        var stream = "hidden";
        for (var layer = 0; layer < 2; layer++)
        {
            var attention = $"/model/layers.{layer}/self_attn";
            foreach (var part in new[] { "q", "k", "v" })
                graph.Node.Add(Node("MatMul", $"{attention}/{part}_proj/MatMul", stream, Weight(graph, Width, Width)));
            var fused = Node("MultiHeadAttention", $"{attention}/MultiHeadAttention", [.. new[] { "q", "k", "v" }.Select(part => $"{attention}/{part}_proj/MatMul_output_0"), .. hasBias ? new[] { Weight(graph, 3 * Width) } : []]);
            fused.Domain = "com.microsoft";
            fused.Attribute.Add(new AttributeProto { Name = "num_heads", Type = AttributeProto.Types.AttributeType.Int, I = 2 });
            graph.Node.Add(fused);
            graph.Node.Add(Node("MatMul", $"{attention}/o_proj/MatMul", fused.Output[0], Weight(graph, Width, Width)));
            graph.Node.Add(Node("Add", $"/model/layers.{layer}/Add", stream, $"{attention}/o_proj/MatMul_output_0"));
            stream = $"/model/layers.{layer}/Add_output_0";
        }
        return new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = 17 }, new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 } } };
    }

    private static NodeProto Node(string op, string name, params string[] inputs) => new() { OpType = op, Name = name, Input = { inputs }, Output = { $"{name}_output_0" } };

    private static string Weight(GraphProto graph, params long[] dims)
    {
        var name = $"weight{graph.Initializer.Count}";
        graph.Initializer.Add(new TensorProto { Name = name, DataType = (int)DataType.Float32, Dims = { dims }, RawData = ByteString.CopyFrom(new byte[4 * dims.Aggregate((a, b) => a * b)]) });
        return name;
    }

    private static ValueInfoProto Info(string name) => new()
    {
        Name = name,
        Type = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor
            {
                ElemType = (int)DataType.Float32,
                Shape = new TensorShapeProto { Dim = { new[] { "batch", "tokens" }.Select(axis => new TensorShapeProto.Types.Dimension { DimParam = axis }), new TensorShapeProto.Types.Dimension { DimValue = Width } } },
            },
        },
    };
}
