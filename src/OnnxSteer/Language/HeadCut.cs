using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>
/// A language model cut before its vocabulary head, so that logits need be there for a few tokens at a time only, and of those no more
/// leaves the graph than the likelihood of one token each.
/// </summary>
/// <param name="Body">The model up to the head; its output <paramref name="Hidden"/> is what the head reads.</param>
/// <param name="Head">The head: from <paramref name="Hidden"/> and <see cref="Targets"/> to <see cref="Nll"/>.</param>
/// <param name="Hidden">The value between them, <c>[batch, tokens, channels]</c> or <c>[tokens, channels]</c>.</param>
/// <param name="Rank">Its number of axes.</param>
public sealed record HeadCut(Model Body, Model Head, string Hidden, int Rank)
{
    /// <summary>The head's input of token ids, int64, of the hidden value's shape but for one channel.</summary>
    public const string Targets = "onnxsteer.targets";

    /// <summary>The head's output, float32 like <see cref="Targets"/>: the negative log-likelihood of each token in nats.</summary>
    public const string Nll = "onnxsteer.nll";

    /// <summary>Cuts a model; null where its head is not one that works token by token, or is not found.</summary>
    public static HeadCut? TryOf(Model model)
    {
        if (DecoderSignature.TryOf(model)?.Logits is not { } logits || model.Opset() is not >= 11
            || SiteTable.Of(model).Sites.LastOrDefault(site => site.Names.Contains("lm_head")) is not { Places: [{ At.Graph: Graph.MainPath } place] }
            || model.Graph.Nodes[place.NodeIndex] is not { OpType: "MatMul" or "Gemm" or "MatMulNBits" } product
            || product.Input(0) is not { } hidden || model.Graph.Constant(hidden) is not null || FactTable.Of(model.Graph)[hidden] is not { Rank: (2 or 3) and var rank } facts)
            return null;
        var names = new FreshNames(model);
        var ops = new Ops(model, "likelihood", names);
        const string hint = "onnxsteer.likelihood";
        var wide = ops.Cast(hint, logits, DataType.Float32);
        var axis = rank - 1;
        var chosen = ops.Node(hint, "GatherElements", ops.Fresh(hint), [wide, Targets], Ops.Int("axis", axis));
        ops.Node(hint, "Sub", Nll, [ops.Reduce(hint, "ReduceLogSumExp", wide, keep: true, axis), chosen]);
        var scored = model.Apply(GraphPatch.Empty.With(new AddInput("likelihood", Info(Targets, DataType.Int64, rank))).With(ops.Flush(Graph.MainPath, Anchor.End)));
        if (Behind(scored.Graph, hidden) is not { } nodes)
            return null;
        var tapped = model.Apply(GraphPatch.Empty.Tap(model, new ValuePlace(Graph.MainPath, hidden), "hidden"));
        return new HeadCut(tapped.Apply(Pruning.To(tapped, [hidden])), Extraction.Of(scored, nodes, [], [Info(hidden, facts.DataType, rank)], [Nll]), hidden, rank);
    }

    // What makes the likelihoods of the hidden value and of constants; null where it needs anything else.
    private static List<Node>? Behind(Graph graph, string hidden)
    {
        var found = new HashSet<Node>();
        var queue = new Queue<string>([Nll]);
        while (queue.TryDequeue(out var name))
        {
            if (name == hidden || graph.Initializer(name) is not null || name == Targets)
                continue;
            if (graph.Producer(name) is not { } node)
                return null;
            if (found.Add(node))
                foreach (var need in node.Needs)
                    queue.Enqueue(need);
        }
        return [.. found.OrderBy(node => node.Index)];
    }

    private static ValueInfoProto Info(string name, DataType type, int rank)
    {
        var shape = new TensorShapeProto();
        for (var i = 0; i < rank; i++)
            shape.Dim.Add(new TensorShapeProto.Types.Dimension());
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
    }
}
