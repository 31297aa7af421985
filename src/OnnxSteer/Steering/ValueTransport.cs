using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// All that a map does to one value of a graph. Sites that are ranges of one value (packed projections) share it: outside
/// their ranges the parameters are those of the identity, so that one pair of nodes serves all.
/// </summary>
internal sealed class ValueTransport
{
    private ValueTransport(Place place, Node node, Site site, bool isMeanMapped, int width)
    {
        (Place, Node, DataType, Rank, SpaceAxes) = (place, node, site.DataType, site.Rank, site.SpaceAxes);
        IsFirstAxis = site.ChannelAxis == 1;
        ShiftsByMean = isMeanMapped && IsImage;
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

    /// <summary>The axes of space of a feature map; none for tokens.</summary>
    public ImmutableArray<long> SpaceAxes { get; }

    public bool IsImage => !SpaceAxes.IsEmpty;

    /// <summary>Whether the channels lie on axis 1, not on the last.</summary>
    public bool IsFirstAxis { get; }

    /// <summary>Whether the map acts on the mean over space, and its change shifts the whole channel: <c>y = x + λ (T(m) − m)</c>.</summary>
    public bool ShiftsByMean { get; }

    /// <summary>The type of means over space and of what they are compared with: a sum over space overflows float16.</summary>
    public DataType MeanType => IsImage && DataType is DataType.Float16 or DataType.BFloat16 ? DataType.Float32 : DataType;

    /// <summary>The type of the scaled parameters: that of what they are multiplied with and added to.</summary>
    public DataType ParameterType => ShiftsByMean ? MeanType : DataType;

    public float[] W { get; }

    public float[] B { get; }

    public float[] Lo { get; }

    public float[] Hi { get; }

    public bool HasScale => W.Any(w => w != 1);

    public bool HasShift => B.Any(b => b != 0);

    public bool HasSupport => Lo.Any(float.IsFinite) || Hi.Any(float.IsFinite);

    public bool IsSum => Place.Hook != Hook.After;

    /// <summary>Whether the parameters make the change <c>λ (T(z) − z)</c>, which is added elsewhere, rather than the new value.</summary>
    public bool IsChange => IsSum || ShiftsByMean;

    /// <summary>The shape of one parameter a channel, such that it broadcasts over the value.</summary>
    public long[] ParameterDims => IsFirstAxis ? [W.Length, .. Enumerable.Repeat(1L, SpaceAxes.Length)] : [W.Length];

    /// <summary>Sorts a map's transports by the value they act on, in execution order.</summary>
    /// <exception cref="OnnxException">An unknown site, other channels than the site has, or one place steered twice.</exception>
    public static IReadOnlyList<ValueTransport> Of(Model model, SiteTable table, SteeringMap map)
    {
        // As the paper's own implementation has it for images; every other method's map acts pixel by pixel.
        var isMeanMapped = map.Provenance.Method == new LinearFit().Name;
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
                    values[whole] = value = Whole(model, site, place, isMeanMapped);
                value.Put(transport, place);
            }
        }
        return [.. values.Values.OrderBy(value => value.Place.NodeIndex)];
    }

    private static ValueTransport Whole(Model model, Site site, Place place, bool isMeanMapped)
    {
        var graph = model.GraphAt(place.At.Graph);
        if (model.Functions.Contains(graph))
            throw new OnnxException($"{model.Source.Name}: {place.At} lies in a function body, which every call shares; steering there is not supported.");
        var width = place.At.Range is null ? (place.ModuleRange?.Length ?? site.Channels)
            : (int)Onnx.Inference.FactTable.Of(graph)[place.At.Value].LastDim!.Value;
        return new ValueTransport(place, graph.Nodes[place.NodeIndex], site, isMeanMapped, width);
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
