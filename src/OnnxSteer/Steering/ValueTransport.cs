using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// All that a map does to one value of a graph. Sites that are ranges of one value (packed projections) share it: outside
/// their ranges the parameters are those of the identity, so that one pair of nodes serves all.
/// </summary>
internal sealed class ValueTransport
{
    private ValueTransport(Place place, Node node, DataType type, int? rank, int width)
    {
        (Place, Node, DataType, Rank) = (place, node, type, rank);
        W = new float[width];
        B = new float[width];
        Lo = new float[width];
        Hi = new float[width];
        W.AsSpan().Fill(1);
        Lo.AsSpan().Fill(float.NegativeInfinity);
        Hi.AsSpan().Fill(float.PositiveInfinity);
    }

    public Place Place { get; }

    public Node Node { get; }

    public DataType DataType { get; }

    public int? Rank { get; }

    public float[] W { get; }

    public float[] B { get; }

    public float[] Lo { get; }

    public float[] Hi { get; }

    public bool HasScale => W.Any(w => w != 1);

    public bool HasShift => B.Any(b => b != 0);

    public bool HasSupport => Lo.Any(float.IsFinite) || Hi.Any(float.IsFinite);

    public bool IsSum => Place.Hook != Hook.After;

    /// <summary>Sorts a map's transports by the value they act on, in execution order.</summary>
    /// <exception cref="OnnxException">An unknown site, other channels than the site has, or one place steered twice.</exception>
    public static IReadOnlyList<ValueTransport> Of(Model model, SiteTable table, SteeringMap map)
    {
        var values = new Dictionary<ValuePlace, ValueTransport>();
        var taken = new List<(ValuePlace Place, string Site)>();
        foreach (var (name, transport) in map.Sites)
        {
            var site = table.Find(name);
            if (transport.Channels != site.Channels)
                throw new OnnxException($"{model.Source.Name}: site '{name}' has {site.Channels} channels, but the map's transport has {transport.Channels}. The map was fitted on another model.");
            foreach (var place in site.Places)
            {
                if (taken.Find(other => other.Place.Overlaps(place.At)) is { Site: not null } other)
                    throw new OnnxException($"The map steers one place twice: '{other.Site}' and '{name}' are both {place.At}. Take one of them out.");
                taken.Add((place.At, name));
                var whole = place.At with { Range = null };
                if (!values.TryGetValue(whole, out var value))
                    values[whole] = value = Whole(model, site, place);
                value.Put(transport, place);
            }
        }
        return [.. values.Values.OrderBy(value => value.Place.NodeIndex)];
    }

    private static ValueTransport Whole(Model model, Site site, Place place)
    {
        var graph = model.GraphAt(place.At.Graph);
        if (model.Functions.Contains(graph))
            throw new OnnxException($"{model.Source.Name}: {place.At} lies in a function body, which every call shares; steering there is not supported.");
        var width = place.At.Range is null ? (place.ModuleRange?.Length ?? site.Channels)
            : (int)Onnx.Inference.FactTable.Of(graph)[place.At.Value].LastDim!.Value;
        return new ValueTransport(place, graph.Nodes[place.NodeIndex], site.DataType, site.Rank, width);
    }

    private void Put(Transport transport, Place place)
    {
        var from = place.ModuleRange?.Start ?? 0;
        var to = place.At.Range?.Start ?? 0;
        for (var i = 0; i < (place.At.Range?.Length ?? W.Length); i++)
        {
            (W[to + i], B[to + i]) = (transport.W[from + i], transport.B[from + i]);
            if (transport.Support is { } support)
                (Lo[to + i], Hi[to + i]) = (support.Lo[from + i], support.Hi[from + i]);
        }
    }
}
