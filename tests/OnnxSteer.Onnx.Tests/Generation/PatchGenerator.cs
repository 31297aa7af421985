using System.Globalization;
using Google.Protobuf;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>Random edits of a model, each thing edited at most once. They may break what the graph means: only the bytes are looked at.</summary>
internal sealed class PatchGenerator(Model model, Random random)
{
    private readonly HashSet<object> _used = [];
    private int _names;

    /// <summary>Some edits of every kind that the model has room for.</summary>
    public GraphPatch Make(int count)
    {
        var edits = Enumerable.Range(0, count).Select(_ => MakeEdit()).OfType<Edit>();
        return GraphPatch.Empty.With([.. edits]);
    }

    private Edit? MakeEdit()
    {
        var graph = random.Pick(model.Graphs);
        return random.Next(11) switch
        {
            0 or 1 or 2 => AnchorIn(graph) is { } anchor ? new AddNode("add", graph.Path, anchor, NewNode()) : null,
            3 when !graph.IsFunction => new AddInitializer("add", graph.Path, new TensorProto { Name = NewName(), DataType = 1, RawData = ByteString.CopyFrom(new byte[random.Next(300)]) }),
            4 => new AddInput("add", new ValueInfoProto { Name = NewName() }),
            5 => new AddOutput("add", new ValueInfoProto { Name = NewName() }),
            6 => ValueIn(graph) is { } value && _used.Add(graph.Producer(value)!) ? new RenameOutput("rename", graph.Path, value, NewName()) : null,
            7 => ValueIn(graph) is { } value && graph.Producer(value) is { Inputs.Length: > 0 } node && _used.Add(node)
                ? new ReplaceInput("replace", graph.Path, value, random.Next(node.Inputs.Length), NewName()) : null,
            8 => ValueIn(graph) is { } value && graph.Producer(value) is { } node && FreeOutput(node) is { } output && _used.Add((node, output))
                ? new EnableOutput("enable", graph.Path, value, output, NewName()) : null,
            9 => MakeRemove(graph),
            _ => random.Chance(0.2) && _used.Add("ir") ? new SetIrVersion("raise", random.NextInt64(1, 1L << 40)) : new AddMetadata("meta", NewName(), "välue"),
        };
    }

    private Remove? MakeRemove(Graph graph)
    {
        var (part, items) = random.Next(4) switch
        {
            0 => (Part.Initializer, graph.Initializers.Cast<object>().ToList()),
            1 => (Part.Input, [.. graph.Inputs]),
            2 => (Part.Output, [.. graph.Outputs]),
            _ => (Part.ValueInfo, [.. graph.ValueInfos]),
        };
        var index = random.Next(Math.Max(1, items.Count));
        return !graph.IsFunction && index < items.Count && _used.Add(items[index]) ? new Remove("remove", graph.Path, part, index) : null;
    }

    private int? FreeOutput(Node node)
    {
        var output = random.Next(node.Outputs.Length + 3);
        return node.Output(output) is null && !_used.Contains(node) ? output : null;
    }

    private Anchor? AnchorIn(Graph graph) =>
        random.Chance(0.2) ? Anchor.Start : ValueIn(graph) is not { } value ? null : random.Chance(0.5) ? Anchor.After(value) : Anchor.Before(value);

    private string? ValueIn(Graph graph)
    {
        var values = graph.Nodes.SelectMany(node => node.Outputs).Where(name => name.Length > 0).ToList();
        return values.Count == 0 ? null : random.Pick(values);
    }

    // Long enough that lengths around take another number of bytes now and then.
    private NodeProto NewNode() => new() { OpType = "New", Output = { NewName() }, DocString = new string('x', random.Next(300)) };

    private string NewName() => string.Create(CultureInfo.InvariantCulture, $"new{PatchRecord.Count(model)}{new string('n', random.Next(4) * 40)}_{++_names}");
}
