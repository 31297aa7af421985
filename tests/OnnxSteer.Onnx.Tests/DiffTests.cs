using Google.Protobuf;
using OnnxSteer.Onnx.Diffing;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Differences between two models: none is missed, none is made up.</summary>
public sealed class DiffTests
{
    [Fact]
    public void A_model_does_not_differ_from_itself() => Seeds.Each(40, seed =>
    {
        using var model = ModelCase.Generated(seed);
        Assert.Empty(ModelDiff.Of(model.Model, Model.Parse(model.Bytes, model.Model.Folder)).Differences);
    });

    [Fact]
    public void Another_encoding_of_the_same_model_is_told_as_such() => Seeds.Each(20, seed =>
    {
        using var model = ModelCase.Generated(seed);
        var plain = Model.Parse(model.Oracle.ToByteArray(), model.Model.Folder);
        if (plain.Source.Length != model.Bytes.Length)
            Assert.Equal("encoding", Assert.Single(ModelDiff.Of(model.Model, plain).Differences).Kind);
    });

    public static TheoryData<string, string, string> Changes => new()
    {
        { "ir", "model", "ir_version" }, { "opset", "opset", "com.microsoft" }, { "metadata", "metadata", "key" }, { "input", "input", "x" }, { "output", "output", "extra" },
        { "value", "value", "m" }, { "bytes", "initializer", "w" }, { "type", "initializer", "w" }, { "weight", "initializer", "added" }, { "node", "node", "more" },
        { "rewired", "node", "second: input 0" }, { "renamed", "node", "first: output 0" }, { "operator", "node", "first: operator" }, { "attribute", "node", "second: attribute a" },
        { "list", "node", "second: attribute l" }, { "gone", "node", "second" }, { "graph", "graph", "main/third:body" }, { "producer", "model", "producer" },
    };

    [Theory, MemberData(nameof(Changes))]
    public void Each_change_is_found(string change, string kind, string name)
    {
        var before = Sample();
        var after = Sample();
        Make(after, change);
        var diff = ModelDiff.Of(Model.Parse(before.ToByteArray()), Model.Parse(after.ToByteArray()));
        Assert.Contains(diff.Differences, difference => difference.Kind == kind && difference.Name == name);
        Assert.InRange(diff.Differences.Length, 1, 3);
        var back = ModelDiff.Of(Model.Parse(after.ToByteArray()), Model.Parse(before.ToByteArray()));
        Assert.Equal(diff.Differences.Length, back.Differences.Length);
    }

    [Fact]
    public void How_much_of_a_weight_differs_is_counted()
    {
        var after = Sample();
        var bytes = after.Graph.Initializer[0].RawData.ToByteArray();
        bytes[9] ^= 1;
        bytes[14] ^= 1;
        after.Graph.Initializer[0].RawData = ByteString.CopyFrom(bytes);
        var only = Assert.Single(ModelDiff.Of(Model.Parse(Sample().ToByteArray()), Model.Parse(after.ToByteArray())).Differences);
        Assert.EndsWith("2 of 4 elements differ, the first is 2", only.After, StringComparison.Ordinal);
    }

    private static ModelProto Sample()
    {
        var graph = new GraphProto { Name = "g" };
        graph.Input.Add(new ValueInfoProto { Name = "x", Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = 1 } } });
        graph.Initializer.Add(new TensorProto { Name = "w", DataType = 1, Dims = { 4 }, RawData = ByteString.CopyFrom(new byte[16]) });
        graph.Node.Add(new NodeProto { Name = "first", OpType = "Add", Input = { "x", "w" }, Output = { "m" } });
        graph.Node.Add(new NodeProto { Name = "second", OpType = "Mul", Input = { "m", "w" }, Output = { "y" }, Attribute = { new AttributeProto { Name = "a", I = 1 }, new AttributeProto { Name = "l", Ints = { 1, 2 } } } });
        graph.ValueInfo.Add(new ValueInfoProto { Name = "m", Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = 1 } } });
        graph.Output.Add(new ValueInfoProto { Name = "y" });
        return new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = 17 } } };
    }

    private static void Make(ModelProto model, string change)
    {
        var (first, second) = (model.Graph.Node[0], model.Graph.Node[1]);
        switch (change)
        {
            case "ir": model.IrVersion = 9; break;
            case "opset": model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 }); break;
            case "metadata": model.MetadataProps.Add(new StringStringEntryProto { Key = "key", Value = "v" }); break;
            case "producer": model.ProducerName = "other"; break;
            case "input": model.Graph.Input[0].Type.TensorType.ElemType = 10; break;
            case "output": model.Graph.Output.Add(new ValueInfoProto { Name = "extra" }); break;
            case "value": model.Graph.ValueInfo[0].Type.TensorType.ElemType = 10; break;
            case "bytes": model.Graph.Initializer[0].RawData = ByteString.CopyFrom([.. new byte[15], 1]); break;
            case "type": model.Graph.Initializer[0].DataType = 6; break;
            case "weight": model.Graph.Initializer.Add(new TensorProto { Name = "added", DataType = 1, RawData = ByteString.CopyFrom(new byte[4]) }); break;
            case "node": model.Graph.Node.Add(new NodeProto { Name = "more", OpType = "Add", Output = { "z" } }); break;
            case "rewired": second.Input[0] = "x"; break;
            case "renamed": first.Output[0] = "m2"; break;
            case "operator": first.OpType = "Sub"; break;
            case "attribute": second.Attribute[0].I = 2; break;
            case "list": second.Attribute[1].Ints.Add(3); break;
            case "gone": model.Graph.Node.RemoveAt(1); break;
            case "graph": model.Graph.Node.Add(new NodeProto { Name = "third", OpType = "Loop", Output = { "t" }, Attribute = { new AttributeProto { Name = "body", G = new GraphProto { Name = "b" } } } }); break;
            default: throw new ArgumentOutOfRangeException(nameof(change));
        }
    }
}
