using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>What the views say is what Google.Protobuf reads, in whatever encoding.</summary>
public class ViewTests
{
    [Fact]
    public void The_encoder_is_legal() => Seeds.Each(200, seed =>
    {
        var (proto, _) = RandomModel.Make(seed);
        var bytes = WireEncoder.Encode(proto, new Random(seed), new Oddity(HasDefaults: false));
        Assert.Equal(proto, ModelProto.Parser.WithDiscardUnknownFields(true).ParseFrom(bytes));
        OracleGraph.AssertClosedAndSorted(proto);
    });

    [Fact]
    public void Generated_models_use_all_that_there_is()
    {
        var all = Enumerable.Range(0, 300).Select(seed => RandomModel.Make(seed).Model).ToList();
        var graphs = all.SelectMany(OracleGraph.All).ToList();
        Assert.Contains(graphs, graph => graph.Outer?.Outer?.Outer is not null);
        Assert.Contains(graphs, graph => graph.Outer is not null && OracleGraph.FreeNames(graph.Proto).Count > 2);
        Assert.Contains(graphs, graph => graph.Outer is { IsFunction: true });
        Assert.Superset(new HashSet<string> { "If", "Loop", "Scan", "Several" }, graphs.SelectMany(graph => graph.Nodes).Select(node => node.OpType).ToHashSet());
        Assert.Contains(graphs, graph => graph.Sparse.Any());
    }

    [Fact]
    public void Views_of_generated_models_agree() => Seeds.Each(300, seed =>
    {
        using var model = ModelCase.Generated(seed);
        AssertSame(model.Oracle, model.Model);
    });

    [SharedTheory]
    [MemberData(nameof(ModelCase.SharedModels), MemberType = typeof(ModelCase))]
    public void Views_of_exported_models_agree(string path)
    {
        using var model = ModelCase.Shared(path);
        AssertSame(model.Oracle, model.Model);
    }

    private static void AssertSame(ModelProto expected, Model actual)
    {
        Assert.Equal(expected.IrVersion, actual.IrVersion);
        Assert.Equal($"{expected.ProducerName} {expected.ProducerVersion}".Trim(), actual.Producer);
        Assert.Equal(expected.OpsetImport.Select(import => new OpsetImport(import.Domain, import.Version)), actual.Opsets);
        Assert.Equal(Pairs(expected.MetadataProps), actual.Metadata);
        Assert.Equal(expected.Functions.Count, actual.Functions.Length);
        var graphs = OracleGraph.All(expected);
        Assert.Equal(graphs.Count, actual.Graphs.Length);
        Assert.Equal(graphs.Count, actual.Graphs.Select(graph => graph.Path).Distinct().Count());
        Assert.Same(actual.Graph, actual.Graphs[0]);
        foreach (var (oracle, graph) in graphs.Zip(actual.Graphs))
        {
            AssertSame(oracle, graph, actual);
            Assert.Same(oracle.Outer is null ? null : actual.Graphs[graphs.IndexOf(oracle.Outer)], graph.Outer);
            Assert.Same(graph, actual.GraphAt(graph.Path));
        }
    }

    private static void AssertSame(OracleGraph expected, Graph actual, Model model)
    {
        Assert.Equal(expected.Proto.Name, actual.Name);
        Assert.Equal(expected.IsFunction, actual.IsFunction);
        AssertInfos(expected.Proto.Input, actual.Inputs);
        AssertInfos(expected.Proto.Output, actual.Outputs);
        AssertInfos(expected.Proto.ValueInfo, actual.ValueInfos);
        Assert.Equal(expected.Sparse, actual.SparseInitializers);
        Assert.Equal(expected.Proto.Initializer.Count, actual.Initializers.Length);
        foreach (var (tensor, view) in expected.Proto.Initializer.Zip(actual.Initializers))
        {
            AssertTensor(tensor, view, model);
            Assert.Same(view, actual.Initializer(tensor.Name));
        }
        Assert.Equal(expected.Nodes.Count, actual.Nodes.Length);
        foreach (var (node, view) in expected.Nodes.Zip(actual.Nodes))
            AssertNode(node, view, actual, model);
        foreach (var name in expected.Defined)
            Assert.True(actual.Defines(name));
        Assert.False(actual.Defines("no such name"));
        if (!expected.IsFunction)
            Assert.Equal(OracleGraph.FreeNames(expected.Proto), actual.FreeNames.ToHashSet());
        foreach (var uses in expected.Nodes.Index().SelectMany(entry => OracleGraph.Needs(entry.Item).Select(name => (Name: name, Node: entry.Index))).GroupBy(use => use.Name))
            Assert.Equal(uses.Select(use => use.Node), actual.Consumers(uses.Key).Select(node => node.Index));
    }

    private static void AssertNode(NodeProto expected, Node actual, Graph graph, Model model)
    {
        Assert.Equal((expected.Name, expected.OpType, expected.Domain, expected.Overload), (actual.Name, actual.OpType, actual.Domain, actual.Overload));
        Assert.Equal(expected.Input, actual.Inputs);
        Assert.Equal(expected.Output, actual.Outputs);
        Assert.Equal(Pairs(expected.MetadataProps), actual.Metadata);
        Assert.Equal(OracleGraph.Captures(expected), actual.Captures.ToHashSet());
        foreach (var output in expected.Output.Where(name => name.Length > 0))
            Assert.Same(actual, graph.Producer(output));
        Assert.Equal(expected.Attribute.Count, actual.Attributes.Length);
        foreach (var (attribute, view) in expected.Attribute.Zip(actual.Attributes))
        {
            Assert.Equal(attribute.Name, view.Name);
            Assert.Equal(attribute.I, view.Int);
            Assert.Equal(attribute.F, view.Float);
            Assert.Equal(attribute.S.ToStringUtf8(), view.String);
            Assert.Equal(attribute.Ints, view.Ints);
            Assert.Equal(attribute.Floats, view.Floats);
            Assert.Equal(attribute.T is null, view.Tensor is null);
            List<TensorProto> tensors = [.. attribute.Tensors.Prepend(attribute.T).Append(attribute.SparseTensor?.Values).Append(attribute.SparseTensor?.Indices).OfType<TensorProto>()];
            Assert.Equal(tensors.Count, view.Tensors.Count());
            foreach (var (tensor, ours) in tensors.Zip(view.Tensors))
                AssertTensor(tensor, ours, model);
            Assert.Equal(attribute.Graphs.Prepend(attribute.G).OfType<GraphProto>().Select(body => body.Name), view.Graphs.Select(body => body.Name));
        }
    }

    private static void AssertInfos(IEnumerable<ValueInfoProto> expected, IReadOnlyCollection<ValueInfo> actual)
    {
        Assert.Equal(expected.Select(info => info.Name), actual.Select(info => info.Name));
        Assert.Equal(expected.Select(info => info.Type), actual.Select(info => info.Type));
        Assert.Equal(expected.Select(info => info.Type?.TensorType?.Shape?.Dim.Count), actual.Select(info => info.Dims?.Length));
    }

    private static void AssertTensor(TensorProto expected, Tensor actual, Model model)
    {
        Assert.Equal((expected.Name, expected.DataType), (actual.Name, (int)actual.DataType));
        Assert.Equal(expected.Dims, actual.Dims);
        var size = (expected.Dims.Aggregate(1L, (product, dim) => product * dim) * actual.DataType.Bits() + 7) / 8;
        Assert.Equal(size, actual.ByteLength);
        var isExternal = expected.DataLocation == TensorProto.Types.DataLocation.External;
        Assert.Equal(isExternal, actual.External is not null);
        if (isExternal)
        {
            var entries = expected.ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
            Assert.Equal(entries["location"], actual.External!.Location);
            Assert.Equal(long.Parse(entries.GetValueOrDefault("offset", "0"), null), actual.External.Offset);
            var data = new byte[size];
            using var file = File.OpenRead(Path.Combine(model.Folder!, actual.External.Location));
            file.Position = actual.External.Offset;
            file.ReadExactly(data);
            Assert.True(data.AsSpan().SequenceEqual(actual.ToBytes()));
        }
        else
            Assert.True((expected.RawData.Length > 0 ? expected.RawData.ToByteArray() : Typed(expected)).AsSpan().SequenceEqual(actual.ToBytes()));
    }

    private static byte[] Typed(TensorProto tensor)
    {
        var type = (DataType)tensor.DataType;
        if (tensor.Int32Data.Count > 0)
            return [.. tensor.Int32Data.SelectMany(value => BitConverter.GetBytes(value).Take(Math.Max(8, type.Bits()) / 8))];
        return
        [
            .. tensor.FloatData.SelectMany(BitConverter.GetBytes), .. tensor.DoubleData.SelectMany(BitConverter.GetBytes),
            .. tensor.Int64Data.SelectMany(BitConverter.GetBytes), .. tensor.Uint64Data.SelectMany(value => BitConverter.GetBytes(value).Take(type.Bits() / 8)),
        ];
    }

    private static IEnumerable<KeyValuePair<string, string>> Pairs(IEnumerable<StringStringEntryProto> entries) =>
        entries.Select(entry => KeyValuePair.Create(entry.Key, entry.Value));
}
