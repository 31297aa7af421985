using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// A condition for steering, decided in the graph: only where the activation at a site projects beyond a threshold on a
/// direction (CAST, arXiv 2409.05907).
/// </summary>
/// <param name="Direction">Site and vector. The steered sites must not lie before it, since the decision would come too late.</param>
/// <param name="Threshold">In units of the activation; what lies strictly above is steered.</param>
/// <param name="Pooling">
/// How a call's real tokens are pooled, for one decision a row; null for each token by itself. A call knows its own tokens
/// alone: while one token at a time is generated, each decides anew.
/// </param>
public sealed record Gate(Direction Direction, float Threshold, Pooling? Pooling);

/// <summary>The masks of a gate: one for each graph in which the gate's site lies.</summary>
internal sealed class GateMasks
{
    private readonly Dictionary<string, (Ops Ops, TokenMask Mask, Anchor Anchor)> _masks = [];
    private readonly Site _site;
    private readonly Model _model;

    /// <param name="model">The model.</param>
    /// <param name="site">The gate's site.</param>
    /// <param name="gate">The gate.</param>
    /// <param name="values">What is steered, and the name of each value as it was before.</param>
    /// <param name="names">Gives names.</param>
    /// <param name="positions">A mask of positions that holds as well, by name; or null.</param>
    public GateMasks(Model model, Site site, Gate gate, IReadOnlyDictionary<SteeredValue, string> values, FreshNames names, string? positions)
    {
        (_model, _site) = (model, site);
        var signature = DecoderSignature.Of(model);
        foreach (var places in site.Places.GroupBy(place => place.At.Graph))
        {
            var last = places.MaxBy(place => place.NodeIndex)!;
            var graph = model.GraphAt(last.At.Graph);
            foreach (var place in places)
                CheckOrder(graph, place, values.Keys);
            var ops = new Ops(model, "gate", names);
            var projection = Projection.Add(ops, signature, site, gate.Direction, gate.Pooling, [.. places.Select(place => (place, Read(ops, graph, place, values)))]);
            if (gate.Pooling is not null)
                projection = ops.Reshape("onnxsteer.gate", projection, -1, 1, 1);
            var mask = ops.Node("onnxsteer.gate", "Greater", projection, ops.Constant("onnxsteer.gate", DataType.Float32, [], [gate.Threshold]));
            if (positions is not null)
                mask = ops.Node("onnxsteer.gate", "And", mask, positions);
            var maker = graph.Nodes[last.NodeIndex];
            var made = maker.Outputs.First(name => name.Length > 0);
            _masks.Add(graph.Path, (ops, new TokenMask(ops, mask, signature.InputIds), last.Hook is Hook.Unfuse or Hook.Absent ? Anchor.Before(made) : Anchor.After(made)));
        }
    }

    /// <summary>The mask that a value is steered under: of its own graph or one around.</summary>
    /// <exception cref="OnnxException">The gate's site lies in other graphs only, or too late in a sorted body.</exception>
    public TokenMask For(SteeredValue value)
    {
        for (var graph = _model.GraphAt(value.Place.At.Graph); graph is not null; graph = graph.Outer)
            if (_masks.TryGetValue(graph.Path, out var own))
                return graph.Outer is null || graph.Path != value.Place.At.Graph || _site.Places.Where(place => place.At.Graph == graph.Path).All(place => place.NodeIndex <= value.Place.NodeIndex)
                    ? own.Mask : throw Late(value.Place);
        throw new OnnxException($"{_model.Source.Name}: {value.Place.At} cannot be gated by '{_site.Name}', which lies in {string.Join(", ", _masks.Keys)}.");
    }

    /// <summary>The edits that make the masks.</summary>
    public IEnumerable<Edit> Edits() => _masks.SelectMany(mask => mask.Value.Ops.Flush(mask.Key, mask.Value.Anchor));

    // A steered value is read as it was before; a sum within a fused norm is summed up once more, before the norm.
    private static string Read(Ops ops, Graph graph, Place place, IReadOnlyDictionary<SteeredValue, string> values)
    {
        if (place.Hook is Hook.Unfuse or Hook.Absent)
            return SkipNorm.Sum(ops, "onnxsteer.gate", graph.Nodes[place.NodeIndex]);
        var value = values.FirstOrDefault(entry => entry.Key.Place.At.Graph == graph.Path && entry.Key.Place.At.Value == place.At.Value && !entry.Key.IsSum).Value ?? place.At.Value;
        return place.MissingBias is { } bias ? ops.Node("onnxsteer.gate", "Add", value, bias) : value;
    }

    // Nothing that the gate reads may depend on what it decides about.
    private void CheckOrder(Graph graph, Place place, IEnumerable<SteeredValue> values)
    {
        var gate = graph.Nodes[place.NodeIndex];
        var makers = values.Where(value => !(value.Node == gate && value.Place.At.Value == place.At.Value)).ToLookup(value => value.Node);
        var met = new HashSet<Node>();
        var ahead = new Stack<Node>(Before(gate));
        // The sum that a fused norm gives out is read from its inputs; anything else it gives depends on the sum.
        if (place.Hook == Hook.After && makers[gate].FirstOrDefault() is { } own)
            throw Late(own.Place);
        while (ahead.TryPop(out var node))
            if (met.Add(node))
            {
                if (makers[node].FirstOrDefault() is { } steered)
                    throw Late(steered.Place);
                foreach (var before in Before(node))
                    ahead.Push(before);
            }

        static IEnumerable<Node> Before(Node node) => node.Needs.Select(name => node.Graph.DefinerOf(name)?.Producer(name)).OfType<Node>();
    }

    private OnnxException Late(Place place) =>
        new($"{_model.Source.Name}: the gate's site '{_site.Name}' depends on {place.At}, which is to be steered, so the decision would come too late. Choose a gate before the first steered site.");
}
