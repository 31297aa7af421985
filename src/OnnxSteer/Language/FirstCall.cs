using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>What a decoder is in its first call, where there is no past.</summary>
public static class FirstCall
{
    /// <summary>
    /// The model with the branch for calls without a past in place of a merged decoder's <c>If</c>, so that its values lie in the main
    /// graph; any other model as it is.
    /// </summary>
    public static Model Of(Model model)
    {
        if (DecoderSignature.TryOf(model)?.UseCacheBranch is not { } hasPast)
            return model;
        var patch = GraphPatch.Empty;
        foreach (var node in model.Graph.Nodes.Where(node => node.Is("If") && node.Inputs is [var condition] && condition == hasPast))
            if (node.Attribute("else_branch")?.Graphs is [var branch])
                patch = patch.With(Inlined(model, node, branch));
        return model.Apply(patch);
    }

    private static IEnumerable<Edit> Inlined(Model model, Node node, Graph branch)
    {
        const string label = "branch without a past";
        yield return new Remove(label, Graph.MainPath, Part.Node, node.Index);
        foreach (var tensor in branch.Initializers)
            yield return new AddInitializer(label, Graph.MainPath, tensor.ToProto());
        foreach (var inner in branch.Nodes)
            yield return new AddNode(label, Graph.MainPath, Anchor.End, inner.ToProto());
        foreach (var (own, given) in node.Outputs.Zip(branch.Outputs))
            if (own.Length > 0 && own != given.Name)
                yield return new AddNode(label, Graph.MainPath, Anchor.End, new NodeProto { OpType = "Identity", Input = { given.Name }, Output = { own } });
    }
}
