using System.Collections.Immutable;
using System.Globalization;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Diffing;

/// <summary>What happened to a thing from one model to another.</summary>
public enum Change
{
    /// <summary>Only the second model has it.</summary>
    Added,
    /// <summary>Only the first model has it.</summary>
    Removed,
    /// <summary>Both have it, not alike.</summary>
    Changed,
}

/// <summary>One difference between two models.</summary>
/// <param name="Graph">Path of the graph it lies in; null for the model itself.</param>
/// <param name="Kind"><c>node</c>, <c>initializer</c>, <c>input</c>, <c>output</c>, <c>value</c>, <c>graph</c>, <c>order</c>, <c>metadata</c>, <c>opset</c>, <c>model</c>, <c>data</c> (an external file) or <c>encoding</c>.</param>
/// <param name="Change">What happened.</param>
/// <param name="Name">What the thing is called.</param>
/// <param name="Before">What the first model has; null where it has nothing.</param>
/// <param name="After">What the second model has; null where it has nothing.</param>
public sealed record Difference(string? Graph, string Kind, Change Change, string Name, string? Before, string? After);

/// <summary>
/// What differs between two models: structure, weights, external data. Weights are streamed; memory holds both graphs and
/// the differences.
/// </summary>
/// <param name="Differences">Each one, in the order of the files.</param>
public sealed record ModelDiff(ImmutableArray<Difference> Differences)
{
    /// <summary>Whether nothing differs.</summary>
    public bool IsEmpty => Differences.IsEmpty;

    /// <summary>Compares two models.</summary>
    /// <exception cref="OnnxException">Data that are not readable.</exception>
    public static ModelDiff Of(Model before, Model after, CancellationToken cancel = default)
    {
        var found = ImmutableArray.CreateBuilder<Difference>();
        found.AddRange(OfModel(before, after));
        var graphs = after.Graphs.ToDictionary(graph => graph.Path);
        foreach (var graph in before.Graphs)
            if (graphs.Remove(graph.Path, out var other))
                found.AddRange(GraphDiff.Of(graph, other, cancel));
            else
                found.Add(new Difference(null, "graph", Change.Removed, graph.Path, Count(graph), null));
        found.AddRange(after.Graphs.Where(graph => graphs.ContainsKey(graph.Path)).Select(graph => new Difference(null, "graph", Change.Added, graph.Path, null, Count(graph))));
        // Whatever is not looked into here is not passed over in silence.
        if (found.Count == 0 && before.Source.FirstDifference(after.Source, cancel) is { } at)
            found.Add(new Difference(null, "encoding", Change.Changed, string.Create(CultureInfo.InvariantCulture, $"byte {at}"),
                $"{before.Source.Length} bytes", $"{after.Source.Length} bytes; all parts that are compared agree, so the encoding, or fields without effect on the graph, differ"));
        return new ModelDiff(found.ToImmutable());
    }

    private static IEnumerable<Difference> OfModel(Model before, Model after) =>
    [
        .. Changed("ir_version", before.IrVersion.ToString(CultureInfo.InvariantCulture), after.IrVersion.ToString(CultureInfo.InvariantCulture)),
        .. Changed("producer", before.Producer, after.Producer),
        .. Named(null, "opset", Imports(before), Imports(after)),
        .. Named(null, "metadata", before.Metadata.Select(entry => (entry.Key, entry.Value)), after.Metadata.Select(entry => (entry.Key, entry.Value))),
        .. Named(null, "data", Files(before), Files(after)),
    ];

    /// <summary>Compares things that have names and a text each.</summary>
    internal static IEnumerable<Difference> Named(string? graph, string kind, IEnumerable<(string Name, string Text)> before, IEnumerable<(string Name, string Text)> after)
    {
        foreach (var (was, becomes) in Pair(before.Select(entry => KeyValuePair.Create(entry.Name, entry.Text)), after.Select(entry => KeyValuePair.Create(entry.Name, entry.Text))))
            if (was?.Value != becomes?.Value)
                yield return new Difference(graph, kind, was is null ? Change.Added : becomes is null ? Change.Removed : Change.Changed, (was ?? becomes)!.Value.Key, was?.Value, becomes?.Value);
    }

    /// <summary>Things of the same name side by side; where a name is there several times, the first with the first.</summary>
    internal static IEnumerable<(KeyValuePair<string, T>? Before, KeyValuePair<string, T>? After)> Pair<T>(
        IEnumerable<KeyValuePair<string, T>> before, IEnumerable<KeyValuePair<string, T>> after)
    {
        var left = after.GroupBy(entry => entry.Key).ToDictionary(group => group.Key, group => new Queue<KeyValuePair<string, T>>(group));
        foreach (var entry in before)
            yield return (entry, left.TryGetValue(entry.Key, out var same) && same.TryDequeue(out var other) ? other : null);
        foreach (var entry in left.Values.SelectMany(same => same))
            yield return (null, entry);
    }

    private static IEnumerable<Difference> Changed(string name, string before, string after) =>
        before == after ? [] : [new Difference(null, "model", Change.Changed, name, before, after)];

    private static List<(string, string)> Imports(Model model) =>
        [.. model.Opsets.Select(import => (import.Domain.Length == 0 ? "ai.onnx" : import.Domain, import.Version.ToString(CultureInfo.InvariantCulture)))];

    private static List<(string, string)> Files(Model model) =>
        [.. model.ExternalTensors.Select(tensor => tensor.External!.Location).Distinct().Select(location =>
            (location, string.Create(CultureInfo.InvariantCulture, $"{model.DataFile(location, "a tensor").Length} bytes")))];

    private static string Count(Graph graph) => $"{graph.Nodes.Length} nodes";

    /// <summary>A type as people write it, such as <c>float32[batch, 64]</c>.</summary>
    internal static string TextOf(TypeProto? type)
    {
        if (type is null)
            return "no type";
        if (type.TensorType is not { } tensor)
            return type.ToString();
        var dims = tensor.Shape?.Dim.Select(dim => dim.ValueCase switch
        {
            TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue => dim.DimValue.ToString(CultureInfo.InvariantCulture),
            TensorShapeProto.Types.Dimension.ValueOneofCase.DimParam => dim.DimParam,
            _ => "?",
        });
        return $"{((DataType)tensor.ElemType).Name()}{(dims is null ? "" : $"[{string.Join(", ", dims)}]")}";
    }
}
