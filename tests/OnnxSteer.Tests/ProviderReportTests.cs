using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Tests;

/// <summary>What is said without a device of how a model runs on one.</summary>
public sealed class ProviderReportTests
{
    private const string Inserted = "__onnxsteer1";

    public static TheoryData<Provider> Providers => [Provider.Cuda, Provider.Dml];

    [Theory]
    [InlineData(Provider.Cuda, "Add", DataType.BFloat16, null)]
    [InlineData(Provider.Cuda, "Less", DataType.BFloat16, "input 0 is bfloat16")]
    [InlineData(Provider.Cuda, "Less", DataType.Float16, null)]
    [InlineData(Provider.Dml, "Add", DataType.BFloat16, "input 0 is bfloat16")]
    [InlineData(Provider.Dml, "Mul", DataType.Float16, null)]
    [InlineData(Provider.Cuda, "NoSuchOperator", DataType.Float16, "no kernel for this operator")]
    public void A_node_has_a_kernel_or_a_reason(Provider provider, string op, DataType type, string? reason)
    {
        var report = ProviderReport.Of(Of(type, Node(op, "n", "y", "x", "x")), provider);
        Assert.Equal(1, report.Nodes);
        if (reason is null)
            Assert.Empty(report.Missing);
        else
            Assert.Contains(reason, Assert.Single(report.Missing).Reason, StringComparison.Ordinal);
        Assert.True(report.InsertedAreClean);
    }

    [Fact]
    public void An_old_opset_has_no_kernel_of_a_newer_operator()
    {
        var model = Of(DataType.Float16, 12, Node("Trilu", "n", "y", "x"));
        Assert.StartsWith("no kernel for opset 12; there are kernels for 14+", Assert.Single(ProviderReport.Of(model, Provider.Cuda).Missing).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void An_inserted_node_without_a_kernel_is_no_clean_patch()
    {
        var report = ProviderReport.Of(Of(DataType.BFloat16, Node("Less", $"n{Inserted}", "y", "x", "x")), Provider.Cuda);
        Assert.True(Assert.Single(report.Missing).IsInserted);
        Assert.False(report.InsertedAreClean);
    }

    [Fact]
    public void Float16_is_bounded_by_the_parameters()
    {
        // y = x*3 + 100: finite while |x| is at most (65504 - 100) / 3.
        var model = Of(DataType.Float16, Node("Mul", $"m{Inserted}", "p", "x", "three"), Node("Add", $"a{Inserted}", "y", "p", "hundred"));
        var bounds = ProviderReport.Of(model, Provider.Cuda).Float16!;
        Assert.Equal((65504 - 100) / 3.0, bounds.Limit, 6);
        Assert.Equal($"Add a{Inserted}", bounds.Node);
        Assert.Equal(2, bounds.Nodes);
        Assert.Empty(bounds.Unproved);
    }

    [Fact]
    public void A_product_of_activations_is_not_proved()
    {
        var model = Of(DataType.Float16, Node("Mul", $"m{Inserted}", "y", "x", "x"));
        var report = ProviderReport.Of(model, Provider.Cuda);
        Assert.Contains("no bound is known", Assert.Single(report.Float16!.Unproved), StringComparison.Ordinal);
        Assert.False(report.InsertedAreClean);
    }

    [Theory, MemberData(nameof(Providers))]
    public void Patches_of_the_embedded_models_insert_nothing_without_a_kernel(Provider provider)
    {
        foreach (var folder in new[] { "stories260k/optimum", "stories260k-h16/genai-fp32" })
            foreach (var mode in new[] { Mode.Baked, Mode.Live })
            {
                var model = ModelFile.Open(Path.Combine(Folders.Models, folder));
                CheckPatched(model, mode, provider);
            }
    }

    [SharedTheory, MemberData(nameof(Providers))]
    public void Patches_of_float16_exports_are_clean_and_bounded(Provider provider)
    {
        foreach (var folder in new[] { "stories260k-h16/genai-cuda-fp16", "stories260k/genai-dml-fp16" })
            foreach (var mode in new[] { Mode.Baked, Mode.Live })
            {
                var bounds = CheckPatched(ModelFile.Open(Folders.InShared("models", folder)), mode, provider);
                // The factor is 1.5. Where a steered projection goes into a steered sum: 1 + 1.5, and one and a half times that
                // again, since the live mode's factors are bounded by the largest of all, 1.5.
                Assert.NotNull(bounds);
                Assert.InRange(bounds.Limit, 65504 / ((1 + 1.5) * 1.5 + 1.5 + 1), 65504 / 1.5);
            }
    }

    private static Float16Bounds? CheckPatched(Model model, Mode mode, Provider provider)
    {
        var map = new SteeringMap(SiteTable.Of(model).Sites.Select(site => new SiteTransport(site.Name, Transport.Of(site.Name,
            [.. Enumerable.Repeat(1.5f, site.Channels)], [.. Enumerable.Repeat(0.25f, site.Channels)], [.. Enumerable.Repeat(-2f, site.Channels)], [.. Enumerable.Repeat(2f, site.Channels)]))));
        var report = ProviderReport.Of(model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = mode, Positions = Positions.Last })), provider);
        Assert.DoesNotContain(report.Missing, node => node.IsInserted);
        Assert.True(report.InsertedAreClean, string.Join('\n', report.Float16?.Unproved ?? []));
        return report.Float16;
    }

    private static Model Of(DataType type, params NodeProto[] nodes) => Of(type, 22, nodes);

    private static Model Of(DataType type, long opset, params NodeProto[] nodes)
    {
        ValueInfoProto Info(string name) => new() { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type } } };
        var graph = new GraphProto { Name = "g", Input = { Info("x") }, Output = { new ValueInfoProto { Name = "y" } } };
        graph.Node.AddRange(nodes);
        graph.Initializer.AddRange(new[] { ("three", 3.0), ("hundred", 100.0) }.Select(c => Constant(c.Item1, c.Item2)));
        return Model.Parse(new ModelProto { IrVersion = 8, Graph = graph, OpsetImport = { new OperatorSetIdProto { Version = opset } } }.ToByteArray());
    }

    private static TensorProto Constant(string name, double value) =>
        new() { Name = name, DataType = (int)DataType.Float16, RawData = ByteString.CopyFrom(BitConverter.GetBytes((Half)value)) };

    private static NodeProto Node(string op, string name, string output, params string[] inputs)
    {
        var node = new NodeProto { OpType = op, Name = name, Output = { output } };
        node.Input.AddRange(inputs);
        return node;
    }
}
