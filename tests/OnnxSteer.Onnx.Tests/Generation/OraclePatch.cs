using Google.Protobuf;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>The edits of a patch, done on the objects that Google.Protobuf parsed: slow, plain, and sharing nothing with ours.</summary>
internal static class OraclePatch
{
    /// <summary>Applies edits to a copy of a model.</summary>
    /// <param name="original">The model.</param>
    /// <param name="paths">Paths of its graphs, in order.</param>
    /// <param name="edits">What to do.</param>
    public static ModelProto Apply(ModelProto original, IReadOnlyList<string> paths, IReadOnlyList<Edit> edits)
    {
        var model = original.Clone();
        var graphs = OracleGraph.All(model);
        for (var i = 0; i < graphs.Count; i++)
            ApplyTo(graphs[i], paths[i], edits);
        foreach (var edit in edits)
            switch (edit)
            {
                case AddInput add:
                    model.Graph.Input.Add(add.Info);
                    break;
                case AddOutput add:
                    model.Graph.Output.Add(add.Info);
                    break;
                case SetIrVersion version:
                    model.IrVersion = version.Version;
                    break;
                case AddMetadata add:
                    model.MetadataProps.Add(new StringStringEntryProto { Key = add.Key, Value = add.Value });
                    break;
            }
        return model;
    }

    private static void ApplyTo(OracleGraph graph, string path, IReadOnlyList<Edit> edits)
    {
        // Everything is found by how it was before, so first found, then changed.
        List<NodeProto> nodes = [.. graph.Nodes];
        var before = nodes.Select(_ => new List<NodeProto>()).ToList();
        var after = nodes.Select(_ => new List<NodeProto>()).ToList();
        var start = new List<NodeProto>();
        var changes = new List<Action>();
        var removed = new HashSet<object>(ReferenceEqualityComparer.Instance);
        foreach (var edit in edits)
            switch (edit)
            {
                case AddNode add when add.Graph == path:
                    (add.Anchor switch
                    {
                        Anchor anchor when anchor == Anchor.Start => start,
                        Anchor anchor when nodes.FindIndex(node => node.Output.Any(name => anchor == Anchor.After(name))) is >= 0 and var index => after[index],
                        var anchor => before[nodes.FindIndex(node => node.Output.Any(name => anchor == Anchor.Before(name)))],
                    }).Add(add.Node);
                    break;
                case AddInitializer add when add.Graph == path:
                    changes.Add(() => graph.Proto.Initializer.Add(add.Tensor));
                    break;
                case RenameOutput rename when rename.Graph == path:
                    var (producer, output) = (Producer(rename.Value), Producer(rename.Value).Output.IndexOf(rename.Value));
                    changes.Add(() => producer.Output[output] = rename.NewName);
                    break;
                case ReplaceInput replace when replace.Graph == path:
                    var reader = Producer(replace.Value);
                    changes.Add(() => reader.Input[replace.Input] = replace.NewName);
                    break;
                case EnableOutput enable when enable.Graph == path:
                    var node = Producer(enable.Value);
                    changes.Add(() =>
                    {
                        while (node.Output.Count <= enable.Output)
                            node.Output.Add("");
                        node.Output[enable.Output] = enable.Name;
                    });
                    break;
                case Remove remove when remove.Graph == path:
                    removed.Add(remove.Part switch
                    {
                        Part.Node => nodes[remove.Index],
                        Part.Initializer => graph.Proto.Initializer[remove.Index],
                        Part.Input => graph.Proto.Input[remove.Index],
                        Part.Output => graph.Proto.Output[remove.Index],
                        _ => (IMessage)graph.Proto.ValueInfo[remove.Index],
                    });
                    break;
            }
        foreach (var change in changes)
            change();
        graph.Nodes.Clear();
        graph.Nodes.AddRange(start);
        for (var i = 0; i < nodes.Count; i++)
            graph.Nodes.AddRange(before[i].Concat(removed.Contains(nodes[i]) ? [] : [nodes[i]]).Concat(after[i]));
        Drop(graph.Proto.Initializer);
        Drop(graph.Proto.Input);
        Drop(graph.Proto.Output);
        Drop(graph.Proto.ValueInfo);

        NodeProto Producer(string value) => nodes.First(node => node.Output.Contains(value));

        void Drop<T>(IList<T> items) where T : class
        {
            for (var i = items.Count - 1; i >= 0; i--)
                if (removed.Contains(items[i]))
                    items.RemoveAt(i);
        }
    }
}
