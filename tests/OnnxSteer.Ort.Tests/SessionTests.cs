using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Ort.Tests;

public sealed class SessionTests
{
    [Fact]
    public void Inputs_and_outputs_are_described()
    {
        using var session = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("ids", ElementType.Int64, "batch", null, 3));
                graph.Input.Add(Models.Value("scalar", ElementType.Bool));
                graph.Input.Add(Models.Value("table", ElementType.Float, 4));
                graph.Initializer.Add(Models.Floats("table", [4], 1, 2, 3, 4));
                graph.Output.Add(Models.Value("y", ElementType.Float, "batch", null, 3));
                graph.Output.Add(Models.Value("z", ElementType.Bool));
            },
            Models.Node("Gather", ["table", "ids"], ["y"]), Models.Node("Identity", ["scalar"], ["z"])).Open();

        Assert.Equal(["ids: Int64[batch,?,3]", "scalar: Bool[]"], session.Inputs.Select(input => $"{input}"));
        Assert.Equal(["y: Float[batch,?,3]", "z: Bool[]"], session.Outputs.Select(output => $"{output}"));
        Assert.Equal(["table: Float[4]"], session.OverridableInitializers.Select(initializer => $"{initializer}"));
        Assert.Equal([new Dimension(null, "batch"), new Dimension(null, null), new Dimension(3, null)], session.Inputs[0].Dimensions);
        Assert.Equal((ValueKind.Tensor, ElementType.Int64), (session.Inputs[0].Kind, session.Inputs[0].ElementType));
    }

    [Fact]
    public void Optional_types_are_described()
    {
        var model = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("x", ElementType.Float, 2));
                graph.Output.Add(new ValueInfoProto
                {
                    Name = "y",
                    Type = new() { OptionalType = new() { ElemType = Models.Value("e", ElementType.Float, 2).Type } },
                });
            },
            Models.Node("Optional", ["x"], ["y"]));
        using var session = model.Open();
        Assert.Equal("y: Optional(Float[2])", $"{session.Outputs[0]}");
    }

    [Fact]
    public void Metadata_is_what_the_model_says()
    {
        var model = Models.Identity(ElementType.Float, 1);
        (model.ProducerName, model.Domain, model.DocString, model.ModelVersion) = ("maker", "org.example", "what it does", 7);
        (model.Graph.Name, model.Graph.DocString) = ("the graph", "how it does it");
        model.MetadataProps.Add(new StringStringEntryProto { Key = "ключ", Value = "значение" });
        model.MetadataProps.Add(new StringStringEntryProto { Key = "b", Value = "" });
        using var session = model.Open();
        var metadata = session.Metadata;
        Assert.Equal(("maker", "org.example", "what it does", 7L), (metadata.Producer, metadata.Domain, metadata.Description, metadata.Version));
        Assert.Equal(("the graph", "how it does it"), (metadata.GraphName, metadata.GraphDescription));
        Assert.Equal(new Dictionary<string, string> { ["ключ"] = "значение", ["b"] = "" }, metadata.Custom);
    }

    [Fact]
    public void A_model_without_metadata_has_empty_texts()
    {
        using var session = Models.Identity(ElementType.Float, 1).Open();
        Assert.Equal("", session.Metadata.Producer);
        Assert.Empty(session.Metadata.Custom);
    }

    [Fact]
    public void Options_reach_the_session()
    {
        using var folder = new TemporaryFolder();
        var optimized = folder["größe", "optimized.onnx"];
        Directory.CreateDirectory(Path.GetDirectoryName(optimized)!);
        var model = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("x", ElementType.Float, 1));
                graph.Initializer.Add(Models.Floats("a", [1], 2));
                graph.Initializer.Add(Models.Floats("b", [1], 3));
                graph.Output.Add(Models.Value("y", ElementType.Float, 1));
            },
            Models.Node("Mul", ["a", "b"], ["ab"]), Models.Node("Add", ["x", "ab"], ["y"]));

        Assert.Equal(["Add"], Optimized(OptimizationLevel.Basic));
        Assert.Equal(["Mul", "Add"], Optimized(OptimizationLevel.Disabled));

        IEnumerable<string> Optimized(OptimizationLevel level)
        {
            model.Open(new()
            {
                IntraOpThreads = 1,
                InterOpThreads = 1,
                ExecutionMode = ExecutionMode.Parallel,
                OptimizationLevel = level,
                MemoryPattern = false,
                CpuArena = false,
                LogSeverity = LogSeverity.Error,
                LogId = "test",
                OptimizedModelPath = optimized,
                ConfigEntries = new Dictionary<string, string> { ["session.intra_op.allow_spinning"] = "0" },
            }).Dispose();
            return ModelProto.Parser.ParseFrom(File.ReadAllBytes(optimized)).Graph.Node.Select(node => node.OpType);
        }
    }

    [Fact]
    public void Options_that_make_no_sense_are_refused()
    {
        var model = Models.Identity(ElementType.Float, 1);
        Assert.Throws<OrtException>(() => model.Open(new() { OptimizationLevel = (OptimizationLevel)77 }));
        Assert.Throws<OrtException>(() => model.Open(new() { ConfigEntries = new Dictionary<string, string> { [""] = "1" } }));
    }

    [Fact]
    public void What_is_no_model_is_refused_with_its_path()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("nowhere.onnx", Assert.Throws<FileNotFoundException>(() => Session.Open(folder["nowhere.onnx"])).Message);
        File.WriteAllText(folder["text.onnx"], "this is no model");
        var error = Assert.Throws<OrtException>(() => Session.Open(folder["text.onnx"]));
        Assert.Equal(OrtErrorCode.InvalidProtobuf, error.Code);
        Assert.Contains("text.onnx", error.Message);
        Assert.Equal(OrtErrorCode.InvalidProtobuf, Assert.Throws<OrtException>(() => Session.Open("no model"u8.ToArray())).Code);
        Assert.Throws<ArgumentException>(() => Session.Open(ReadOnlyMemory<byte>.Empty));

        var broken = Models.Of(graph => graph.Output.Add(Models.Value("y", ElementType.Float, 1)), Models.Node("Relu", ["nothing"], ["y"]));
        Assert.Contains("nothing", Assert.Throws<OrtException>(() => broken.Open()).Message);
    }

    [Fact]
    public void External_data_is_found_beside_the_file_and_by_folder_for_bytes()
    {
        using var folder = new TemporaryFolder();
        var model = Models.Scaled();
        var scale = model.Graph.Initializer[0];
        scale.FloatData.Clear();
        scale.DataLocation = TensorProto.Types.DataLocation.External;
        scale.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "weights.bin" });
        File.WriteAllBytes(folder["weights.bin"], BitConverter.GetBytes(5f));
        File.WriteAllBytes(folder["model.onnx"], model.ToByteArray());

        using (var fromFile = Session.Open(folder["model.onnx"]))
            Assert.Equal([5, 10, 15], Scale(fromFile));
        using (var fromBytes = Session.Open(model.ToByteArray(), externalDataFolder: folder.Path))
            Assert.Equal([5, 10, 15], Scale(fromBytes));
        Assert.Contains("weights.bin", Assert.Throws<OrtException>(() => Session.Open(model.ToByteArray())).Message);

        static float[] Scale(Session session)
        {
            using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
            using var outputs = session.Run(Models.Feed(("x", x)));
            return outputs["y"].Span<float>().ToArray();
        }
    }

    [Fact]
    public void A_path_may_hold_any_letters()
    {
        using var folder = new TemporaryFolder();
        var path = folder["모델 ü.onnx"];
        File.WriteAllBytes(path, Models.Identity(ElementType.Float, 1).ToByteArray());
        using var session = Session.Open(path);
        Assert.Single(session.Inputs);
    }

    [Fact]
    public void A_disposed_session_says_so_and_its_outputs_live_on()
    {
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        var session = Models.Scaled().Open();
        using var outputs = session.Run(Models.Feed(("x", x)));
        session.Dispose();
        session.Dispose();
        Assert.Equal([2, 4, 6], outputs["y"].Span<float>());
        Assert.Equal(2, session.Inputs.Count + session.OverridableInitializers.Count);
        Assert.Throws<ObjectDisposedException>(() => session.Run(Models.Feed(("x", x))));
        Assert.Throws<ObjectDisposedException>(() => session.Metadata);
        Assert.Throws<ObjectDisposedException>(session.CreateBinding);
    }

    [Fact]
    public void The_log_severity_can_change_at_any_time()
    {
        var before = OrtEnvironment.LogSeverity;
        using var session = Models.Identity(ElementType.Float, 1).Open();
        OrtEnvironment.LogSeverity = LogSeverity.Error;
        Assert.Equal(LogSeverity.Error, OrtEnvironment.LogSeverity);
        OrtEnvironment.LogSeverity = before;
    }
}
