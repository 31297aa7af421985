using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>Turns edits into splices of the model's bytes.</summary>
internal sealed class PatchWriter
{
    private const int NodeInput = 1, NodeOutput = 2, NodeAttribute = 5;
    private const int GraphNode = 1, GraphInitializer = 5, GraphInput = 11, GraphOutput = 12, FunctionNode = 7;
    private const int ModelIrVersion = 1, ModelMetadata = 14;
    private const int MaxOutputs = 1000;

    // Contents of this size or more go to a data file, as do replaced bytes.
    private const long MaxInlineBytes = 1 << 20;

    private readonly Model _model;
    private readonly SpliceSet _splices = new();
    private readonly WireCursor _cursor;
    private readonly PatchData _data;

    private PatchWriter(Model model) =>
        (_model, _data, _cursor) = (model, new PatchData(model, PatchRecord.NextNumber(model)), new WireCursor(model.Source));

    /// <summary>The patched bytes, what is to be recorded behind them, and the data file that goes with them, if there is anything in it.</summary>
    public static (ByteSource Source, PendingRecord? Record, PatchData? Data) Apply(Model model, GraphPatch patch)
    {
        var writer = new PatchWriter(model);
        writer.CheckNames(patch);
        foreach (var edit in patch.Edits)
            writer.Write(edit);
        foreach (var edits in patch.Edits.OfType<EnableOutput>().GroupBy(enable => writer.Producer(enable.Graph, enable.Value)))
            writer.Enable(edits.Key, [.. edits]);
        var splices = writer._splices.Build(model.Source);
        var record = patch.Title is not { } title ? null
            : PatchRecord.Entry(model, title, splices, writer._data, [.. patch.Edits.OfType<RewriteInitializer>().Select(edit => writer.Initializer(edit).External?.Location).OfType<string>().Distinct()]);
        return (SplicedSource.Of(model.Source, splices), record, writer._data.IsEmpty ? null : writer._data);
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
                Append(_model.GraphAt(add.Graph), GraphOutput, add.Info);
                break;
            case RewriteInitializer rewrite:
                Rewrite(rewrite);
                break;
            case RenameOutput rename:
                var producer = Producer(rename.Graph, rename.Value);
                ReplaceText(producer, NodeOutput, producer.Outputs.IndexOf(rename.Value), rename.NewName);
                break;
            case ReplaceInput replace:
                SetInput(Producer(replace.Graph, replace.Value), replace.Input, replace.NewName);
                break;
            case SetAttribute set:
                SetAttributeOf(Producer(set.Graph, set.Value), set.Attribute);
                break;
            case EnableOutput:
                // All of one node at once, see Apply.
                break;
            case Remove remove:
                var (frame, field) = Locate(remove);
                _splices.Add(frame, field.Start, field.End - field.Start, default);
                break;
            case SetIrVersion version when _model.IrVersionField is { } old:
                _splices.Add(null, old.Start, old.End - old.Start, Message(output => { output.WriteTag(ModelIrVersion, WireFormat.WireType.Varint); output.WriteInt64(version.Version); }));
                break;
            case AddMetadata add:
                _splices.Add(null, _model.Source.Length, 0, MetadataField(add.Key, add.Value));
                break;
            default:
                throw new InvalidOperationException($"No writer for {edit.GetType().Name}.");
        }
    }

    private void AddNodeAt(AddNode add)
    {
        var graph = _model.GraphAt(add.Graph);
        var node = add.Anchor switch
        {
            Anchor.Behind behind => Producer(add.Graph, behind.Value).Frame,
            Anchor.Ahead ahead => Producer(add.Graph, ahead.Value).Frame,
            _ when graph.Nodes.IsEmpty => null,
            Anchor.AtEnd => graph.Nodes[^1].Frame,
            _ => graph.Nodes[0].Frame,
        };
        var bytes = Field(graph.IsFunction ? FunctionNode : GraphNode, add.Node.ToByteArray());
        if (node is null)
            _splices.Add(graph.Frames[^1], graph.Frames[^1].Field.End, 0, bytes);
        else if (add.Anchor is Anchor.Behind or Anchor.AtEnd)
            _splices.Add(node.Parent, node.Field.End, 0, bytes, rank: add.Anchor is Anchor.AtEnd ? 2 : 0);
        else
            // What goes before a node goes behind all that belongs to the node before it, which it may read.
            _splices.Add(node.Parent, node.Field.Start, 0, bytes, rank: add.Anchor is Anchor.Ahead ? 1 : 0);
    }

    private void Append(Graph graph, int number, IMessage message)
    {
        if (graph.IsFunction)
            throw new OnnxException($"{_model.Source.Name}: '{graph.Path}' is a function; functions have no initializers, use a Constant node.");
        var frame = graph.Frames[^1];
        _splices.Add(frame, frame.Field.End, 0, Field(number, message.ToByteArray()));
    }

    private Tensor Initializer(RewriteInitializer edit) =>
        _model.GraphAt(edit.Graph).Initializers.FirstOrDefault(tensor => tensor.Name == edit.Name)
        ?? throw new OnnxException($"{_model.Source.Name}: graph '{edit.Graph}' has no initializer '{edit.Name}' ({edit.Label}).");

    private void Rewrite(RewriteInitializer edit)
    {
        var old = Initializer(edit);
        if (edit.Data.Length != old.ByteLength)
            throw new OnnxException($"{_model.Source.Name}: initializer {old} holds {old.ByteLength} bytes; {edit.Data.Length} were given ({edit.Label}).");
        var tensor = new TensorProto { Name = old.Name, DataType = (int)old.DataType, Dims = { old.Dims } };
        if (old.External is null && edit.Data.Length < MaxInlineBytes)
            tensor.RawData = UnsafeByteOperations.UnsafeWrap(edit.Data.ToArray());
        else
        {
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            var start = _data.Add(edit.Data);
            foreach (var (key, value) in new[] { ("location", _data.Name), ("offset", start.ToString(CultureInfo.InvariantCulture)), ("length", edit.Data.Length.ToString(CultureInfo.InvariantCulture)) })
                tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        }
        var frame = _model.GraphAt(edit.Graph).Frames.First(frame => old.Field.Start >= frame.Field.Body && old.Field.End <= frame.Field.End);
        _splices.Add(frame, old.Field.Start, old.Field.End - old.Field.Start, Field(GraphInitializer, tensor.ToByteArray()));
    }

    private void Enable(Node node, List<EnableOutput> edits)
    {
        foreach (var edit in edits)
            if (edit.Output is < 0 or >= MaxOutputs || node.Output(edit.Output) is not null || edits.Exists(other => other != edit && other.Output == edit.Output))
                throw new OnnxException($"{_model.Source.Name}: output {edit.Output} of {node} cannot be named '{edit.Name}': it is there already, or no output of a node. Its outputs: {string.Join(", ", node.Outputs.Select(name => $"'{name}'"))}.");
        foreach (var edit in edits.Where(edit => edit.Output < node.Outputs.Length))
            ReplaceText(node, NodeOutput, edit.Output, edit.Name);
        for (var i = node.Outputs.Length; i <= edits.Max(edit => edit.Output); i++)
            _splices.Add(node.Frame, node.Frame.Field.End, 0, Field(NodeOutput, Encoding.UTF8.GetBytes(edits.Find(edit => edit.Output == i)?.Name ?? "")));
    }

    private (Frame Frame, WireField Field) Locate(Remove remove)
    {
        var graph = _model.GraphAt(remove.Graph);
        var field = remove.Part switch
        {
            Part.Node => At(graph.Nodes).Frame.Field,
            Part.Initializer => At(graph.Initializers).Field,
            Part.Input => At(graph.Inputs).Field,
            Part.Output => At(graph.Outputs).Field,
            _ => At(graph.ValueInfos).Field,
        };
        return (graph.Frames.First(frame => field.Start >= frame.Field.Body && field.End <= frame.Field.End), field);

        T At<T>(ImmutableArray<T> items) => remove.Index >= 0 && remove.Index < items.Length ? items[remove.Index]
            : throw new OnnxException($"{_model.Source.Name}: there is no {remove.Part} {remove.Index} in graph '{graph.Path}', which has {items.Length} ({remove.Label}).");
    }

    private Node Producer(string graph, string value) => Names.RequireProducer(_model, new ValuePlace(graph, value));

    private void SetInput(Node node, int index, string name)
    {
        if (index is < 0 or >= MaxOutputs)
            throw new OnnxException($"{_model.Source.Name}: {node} can have no input {index}.");
        if (index < node.Inputs.Length)
        {
            ReplaceText(node, NodeInput, index, name);
            return;
        }
        for (var i = node.Inputs.Length; i <= index; i++)
            _splices.Add(node.Frame, node.Frame.Field.End, 0, Field(NodeInput, Encoding.UTF8.GetBytes(i == index ? name : "")));
    }

    private void SetAttributeOf(Node node, AttributeProto attribute)
    {
        var bytes = Field(NodeAttribute, attribute.ToByteArray());
        if (node.Attribute(attribute.Name) is not { } old)
            _splices.Add(node.Frame, node.Frame.Field.End, 0, bytes);
        else if (!Replace(node, NodeAttribute, node.Attributes.IndexOf(old), bytes))
            throw new InvalidOperationException($"{node} has an attribute '{old.Name}' that its message does not hold.");
    }

    private bool Replace(Node node, int number, int index, byte[] bytes)
    {
        var frame = node.Frame;
        _cursor.Enter(frame.Field.Body);
        while (_cursor.Next(frame.Field.End, out var field))
            if (field.Is(number, WireType.Length) && index-- == 0)
            {
                _splices.Add(frame, field.Start, field.End - field.Start, bytes);
                return true;
            }
        return false;
    }

    private void ReplaceText(Node node, int number, int index, string text)
    {
        if (!Replace(node, number, index, Field(number, Encoding.UTF8.GetBytes(text))))
            throw new OnnxException($"{_model.Source.Name}: {node} has {node.Inputs.Length} inputs and {node.Outputs.Length} outputs; the one that a patch wants to rename is not among them.");
    }

    // Nothing that a patch makes may bear the name of something else in reach, around it or inside.
    private void CheckNames(GraphPatch patch)
    {
        var freed = patch.Edits.SelectMany(Freed).ToHashSet();
        var made = new HashSet<(string Graph, string Name)>();
        foreach (var edit in patch.Edits)
            foreach (var (path, name) in Made(edit))
            {
                var graph = _model.GraphAt(path);
                if (!made.Add((path, name)) || (!freed.Contains((path, name)) && _model.Knows(name)
                    && _model.Graphs.Any(other => other.Defines(name) && (graph.IsWithin(other) || other.IsWithin(graph)))))
                    throw new OnnxException($"{_model.Source.Name}: a patch would make a second value '{name}' in graph '{path}' or in one around it or inside ({edit.Label}).");
            }
        CheckDeclarations(Part.Input, _model.Graph.Inputs, patch.Edits.OfType<AddInput>().Select(add => add.Info.Name));
        CheckDeclarations(Part.Output, _model.Graph.Outputs, patch.Edits.OfType<AddOutput>().Where(add => add.Graph == Graph.MainPath).Select(add => add.Info.Name));

        void CheckDeclarations(Part part, ImmutableArray<ValueInfo> there, IEnumerable<string> added)
        {
            var removed = patch.Edits.OfType<Remove>().Where(remove => remove.Part == part && remove.Graph == Graph.MainPath).Select(remove => remove.Index).ToHashSet();
            var names = there.Index().Where(entry => !removed.Contains(entry.Index)).Select(entry => entry.Item.Name).ToHashSet();
            foreach (var name in added)
                if (!names.Add(name))
                    throw new OnnxException($"{_model.Source.Name}: a patch would declare '{name}' as a graph {part.ToString().ToLowerInvariant()} a second time.");
        }
    }

    private IEnumerable<(string Graph, string Name)> Freed(Edit edit)
    {
        if (edit is RenameOutput rename)
            return [(rename.Graph, rename.Value)];
        if (edit is not Remove remove)
            return [];
        var graph = _model.GraphAt(remove.Graph);
        var names = remove.Part switch
        {
            // Its bodies go with it.
            Part.Node when graph.Nodes.ElementAtOrDefault(remove.Index) is { } node =>
                [.. node.Outputs, .. node.Attributes.SelectMany(attribute => attribute.Graphs).SelectMany(body => body.DefinedNames)],
            Part.Node => [],
            Part.Initializer => graph.Initializers.ElementAtOrDefault(remove.Index) is { } tensor ? [tensor.Name] : [],
            Part.Input => graph.Inputs.ElementAtOrDefault(remove.Index) is { } input ? [input.Name] : [],
            _ => ImmutableArray<string>.Empty,
        };
        return names.Select(name => (remove.Graph, name));
    }

    private static IEnumerable<(string Graph, string Name)> Made(Edit edit) => edit switch
    {
        AddNode add => add.Node.Output.Where(name => name.Length > 0).Select(name => (add.Graph, name)),
        AddInitializer add => [(add.Graph, add.Tensor.Name)],
        RenameOutput rename => [(rename.Graph, rename.NewName)],
        EnableOutput enable => [(enable.Graph, enable.Name)],
        _ => [],
    };

    internal static byte[] MetadataField(string key, string value) =>
        Field(ModelMetadata, new StringStringEntryProto { Key = key, Value = value }.ToByteArray());

    internal static byte[] Field(int number, byte[] body) => Message(output =>
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
