using System.Text;
using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>Turns edits into splices of the model's bytes.</summary>
internal sealed class PatchWriter
{
    private const int NodeInput = 1, NodeOutput = 2;
    private const int GraphNode = 1, GraphInitializer = 5, GraphInput = 11, GraphOutput = 12, FunctionNode = 7;
    private const int ModelIrVersion = 1, ModelMetadata = 14;

    private readonly Model _model;
    private readonly SpliceSet _splices = new();

    private PatchWriter(Model model) => _model = model;

    public static ByteSource Apply(Model model, GraphPatch patch)
    {
        var writer = new PatchWriter(model);
        writer.CheckNames(patch);
        foreach (var edit in patch.Edits)
            writer.Write(edit);
        var splices = writer._splices.Build();
        if (patch.Title is { } title)
            splices = [.. splices, new Splice(model.Source.Length, 0, MetadataField(PatchRecord.Entry(model, title, splices)))];
        return SplicedSource.Of(model.Source, splices);
    }

    private void Write(Edit edit)
    {
        switch (edit)
        {
            case AddNode add:
                AddNodeAt(add);
                break;
            case AddInitializer add:
                Append(_model.GraphAt(add.Graph), GraphInitializer, add.Tensor);
                break;
            case AddInput add:
                Append(_model.Graph, GraphInput, add.Info);
                break;
            case AddOutput add:
                Append(_model.Graph, GraphOutput, add.Info);
                break;
            case RenameOutput rename:
                var producer = Producer(rename.Graph, rename.Value);
                ReplaceText(producer, NodeOutput, producer.Outputs.IndexOf(rename.Value), rename.NewName);
                break;
            case ReplaceInput replace:
                ReplaceText(Producer(replace.Graph, replace.Value), NodeInput, replace.Input, replace.NewName);
                break;
            case EnableOutput enable:
                Enable(enable);
                break;
            case Remove remove:
                var (frame, field) = Locate(remove);
                _splices.Add(frame, field.Start, field.End - field.Start, default);
                break;
            case SetIrVersion version when _model.IrVersionField is { } old:
                _splices.Add(null, old.Start, old.End - old.Start, Message(output => { output.WriteTag(ModelIrVersion, WireFormat.WireType.Varint); output.WriteInt64(version.Version); }));
                break;
            case AddMetadata add:
                _splices.Add(null, _model.Source.Length, 0, MetadataField(add));
                break;
            default:
                throw new InvalidOperationException($"No writer for {edit.GetType().Name}.");
        }
    }

    private void AddNodeAt(AddNode add)
    {
        var graph = _model.GraphAt(add.Graph);
        var (frame, offset) = add.Anchor switch
        {
            Anchor.Behind behind => Producer(add.Graph, behind.Value).Frame is var node ? (node.Parent, node.Field.End) : default,
            Anchor.Ahead ahead => Producer(add.Graph, ahead.Value).Frame is var node ? (node.Parent, node.Field.Start) : default,
            _ when graph.Nodes.IsEmpty => (graph.Frames[^1], graph.Frames[^1].Field.End),
            _ => graph.Nodes[0].Frame is var node ? (node.Parent, node.Field.Start) : default,
        };
        var isFunction = _model.Functions.Contains(graph);
        _splices.Add(frame, offset, 0, Field(isFunction ? FunctionNode : GraphNode, add.Node.ToByteArray()));
    }

    private void Append(Graph graph, int number, IMessage message)
    {
        if (_model.Functions.Contains(graph))
            throw new OnnxException($"{_model.Source.Name}: '{graph.Path}' is a function; functions have no initializers, use a Constant node.");
        var frame = graph.Frames[^1];
        _splices.Add(frame, frame.Field.End, 0, Field(number, message.ToByteArray()));
    }

    private void Enable(EnableOutput enable)
    {
        var node = Producer(enable.Graph, enable.Value);
        if (node.Output(enable.Output) is { } there)
            throw new OnnxException($"{_model.Source.Name}: output {enable.Output} of {node} is there already: '{there}'.");
        if (enable.Output < node.Outputs.Length)
        {
            ReplaceText(node, NodeOutput, enable.Output, enable.Name);
            return;
        }
        for (var i = node.Outputs.Length; i <= enable.Output; i++)
            _splices.Add(node.Frame, node.Frame.Field.End, 0, Field(NodeOutput, Encoding.UTF8.GetBytes(i == enable.Output ? enable.Name : "")));
    }

    private (Frame Frame, WireField Field) Locate(Remove remove)
    {
        var graph = _model.GraphAt(remove.Graph);
        if (remove.Part == Part.Node)
            return (graph.Nodes[remove.Index].Frame.Parent!, graph.Nodes[remove.Index].Frame.Field);
        var field = remove.Part switch
        {
            Part.Initializer => graph.Initializers[remove.Index].Field,
            Part.Input => graph.Inputs[remove.Index].Field,
            Part.Output => graph.Outputs[remove.Index].Field,
            _ => graph.ValueInfos[remove.Index].Field,
        };
        return (graph.Frames.First(frame => field.Start >= frame.Field.Body && field.End <= frame.Field.End), field);
    }

    private Node Producer(string graph, string value) => Names.RequireProducer(_model, new ValuePlace(graph, value));

    private void ReplaceText(Node node, int number, int index, string text)
    {
        var cursor = new WireCursor(_model.Source);
        cursor.Enter(node.Frame.Field.Body);
        while (cursor.Next(node.Frame.Field.End, out var field))
            if (field.Is(number, WireType.Length) && index-- == 0)
            {
                _splices.Add(node.Frame, field.Start, field.End - field.Start, Field(number, Encoding.UTF8.GetBytes(text)));
                return;
            }
        throw new OnnxException($"{_model.Source.Name}: {node} has {node.Inputs.Length} inputs and {node.Outputs.Length} outputs; the one that a patch wants to rename is not among them.");
    }

    // Nothing that a patch makes may bear the name of something else in reach.
    private void CheckNames(GraphPatch patch)
    {
        var freed = patch.Edits.OfType<RenameOutput>().Select(rename => (rename.Graph, rename.Value)).ToHashSet();
        var made = new HashSet<(string Graph, string Name)>();
        foreach (var edit in patch.Edits)
            foreach (var name in Made(edit))
                if (!made.Add(name) || (_model.GraphAt(name.Graph).Defines(name.Name) && !freed.Contains(name)))
                    throw new OnnxException($"{_model.Source.Name}: a patch would make a second value '{name.Name}' in graph '{name.Graph}' ({edit.Label}).");
    }

    private static IEnumerable<(string Graph, string Name)> Made(Edit edit) => edit switch
    {
        AddNode add => add.Node.Output.Where(name => name.Length > 0).Select(name => (add.Graph, name)),
        AddInitializer add => [(add.Graph, add.Tensor.Name)],
        RenameOutput rename => [(rename.Graph, rename.NewName)],
        EnableOutput enable => [(enable.Graph, enable.Name)],
        _ => [],
    };

    private static byte[] MetadataField(AddMetadata entry) =>
        Field(ModelMetadata, new StringStringEntryProto { Key = entry.Key, Value = entry.Value }.ToByteArray());

    private static byte[] Field(int number, byte[] body) => Message(output =>
    {
        output.WriteTag(number, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(UnsafeByteOperations.UnsafeWrap(body));
    });

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var stream = new MemoryStream();
        using (var output = new CodedOutputStream(stream, leaveOpen: true))
            write(output);
        return stream.ToArray();
    }
}
