using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>Takes a part of a graph out, as a model of its own.</summary>
public static class Extraction
{
    private const int ModelIrVersion = 1, ModelGraph = 7, ModelOpset = 8, ModelFunction = 25;
    private const int GraphNode = 1, GraphName = 2, GraphInput = 11, GraphOutput = 12;

    /// <summary>
    /// A model of some of the main graph's nodes, byte for byte as they are, with the graph inputs and initializers that they read. What
    /// else they read must be given as inputs. Outputs of the graph that these nodes make stay outputs: an attention node whose
    /// declared <c>present</c> outputs go away fails to run.
    /// </summary>
    /// <param name="model">The model; external data stay where they are.</param>
    /// <param name="nodes">Nodes of the main graph, in an order in which they can run.</param>
    /// <param name="more">Nodes besides them.</param>
    /// <param name="inputs">The values that other nodes made, with their types.</param>
    /// <param name="outputs">Values that these nodes make.</param>
    public static Model Of(Model model, IReadOnlyCollection<Node> nodes, IEnumerable<NodeProto> more, IEnumerable<ValueInfoProto> inputs, IEnumerable<string> outputs)
    {
        var graph = model.Graph;
        var (reads, makes) = (nodes.SelectMany(node => node.Needs).ToHashSet(), nodes.SelectMany(node => node.Outputs).ToHashSet());
        if (graph.SparseInitializers.FirstOrDefault(reads.Contains) is { } sparse)
            throw new OnnxException($"{model.Source.Name}: '{sparse}' is a sparse initializer; a graph with such cannot be taken apart.");
        var kept = graph.Outputs.Where(output => makes.Contains(output.Name)).ToList();
        var body = new List<byte[]>();
        body.AddRange(nodes.Select(node => Copy(node.Frame.Field)));
        body.AddRange(more.Select(node => PatchWriter.Field(GraphNode, node.ToByteArray())));
        body.Add(PatchWriter.Field(GraphName, "part"u8.ToArray()));
        body.AddRange(graph.Initializers.Where(tensor => reads.Contains(tensor.Name)).Select(tensor => Copy(tensor.Field)));
        body.AddRange(graph.Inputs.Where(input => reads.Contains(input.Name)).Select(input => Copy(input.Field)));
        body.AddRange(inputs.Select(input => PatchWriter.Field(GraphInput, input.ToByteArray())));
        body.AddRange(kept.Select(output => Copy(output.Field)));
        body.AddRange(outputs.Except(kept.Select(output => output.Name)).Select(output => PatchWriter.Field(GraphOutput, new ValueInfoProto { Name = output }.ToByteArray())));
        var whole = new List<byte[]>();
        var cursor = new WireCursor(model.Source);
        cursor.Enter(0);
        while (cursor.Next(model.Source.Length, out var field))
            if (field.Number is ModelIrVersion or ModelOpset or ModelFunction)
                whole.Add(Copy(field));
        whole.Add(PatchWriter.Field(ModelGraph, Joined(body)));
        return Model.Read(ByteSource.From(Joined(whole), $"a part of {model.Source.Name}"), model.Folder, newFiles: model.NewFiles);

        byte[] Copy(WireField field) => model.Source.ToArray(field.Start, field.End - field.Start);
    }

    private static byte[] Joined(List<byte[]> pieces)
    {
        var all = new byte[pieces.Sum(piece => (long)piece.Length)];
        var at = 0;
        foreach (var piece in pieces)
        {
            piece.CopyTo(all, at);
            at += piece.Length;
        }
        return all;
    }
}
