using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// All that the maps of a patch do to one value of a graph. Sites that are ranges of one value (packed projections) share it:
/// outside their ranges the parameters are those of the identity, so that one pair of nodes serves all.
/// </summary>
internal sealed class SteeredValue
{
    private readonly List<string> _sites = [];

    private SteeredValue(Place place, Node node, Site site, int width, int maps)
    {
        (Place, Node, DataType, ChannelAxis, SpaceAxes) = (place, node, site.DataType, site.ChannelAxis, site.SpaceAxes);
        Rank = IsImage ? SpaceAxes.Length + 2 : site.Rank;
        Maps = [.. Enumerable.Range(0, maps).Select(_ => new ChannelParameters(width))];
        MissingBias = place.Hook == Hook.BeforeBias ? ReadBias(node.Graph, place, width) : new double[width];
    }

    public Place Place { get; }

    public Node Node { get; }

    public DataType DataType { get; }

    public int? Rank { get; }

    /// <summary>The channels' axis: 1 of a feature map with channels first, else -1, the last.</summary>
    public int ChannelAxis { get; }

    /// <summary>The axes of space of a feature map; none for tokens.</summary>
    public ImmutableArray<long> SpaceAxes { get; }

    public bool IsImage => !SpaceAxes.IsEmpty;

    /// <summary>Whether the map acts on the mean over space, and its change shifts the whole channel: <c>y = x + λ (T(m) − m)</c>.</summary>
    public bool ShiftsByMean { get; private set; }

    /// <summary>What each map of the patch does here; a map that leaves the value alone is the identity.</summary>
    public IReadOnlyList<ChannelParameters> Maps { get; }

    /// <summary>The sites that lie in the value.</summary>
    public IReadOnlyList<string> Sites => _sites;

    /// <summary>Channels of the whole value.</summary>
    public int Width => Maps[0].W.Length;

    public bool HasScale => Maps.Any(map => map.HasScale);

    public bool HasShift => Maps.Any(map => map.HasShift);

    public bool HasSupport => Maps.Any(map => map.HasSupport);

    /// <summary>Whether this is the sum inside a fused skip norm, which is changed through the norm's inputs.</summary>
    public bool IsSum => Place.Hook is Hook.Unfuse or Hook.Absent;

    /// <summary>Whether the parameters make the change <c>λ (T(z) − z)</c>, which is added elsewhere, rather than the new value.</summary>
    public bool IsChange => IsSum || ShiftsByMean;

    /// <summary>The type of the scaled parameters: that of what they are multiplied with and added to.</summary>
    public DataType ParameterType => ShiftsByMean ? BoundsType : DataType;

    /// <summary>
    /// The type in which a value, or a feature map's mean over space, is held against bounds: its own, but a sum over space overflows
    /// float16, and CUDA compares no bfloat16.
    /// </summary>
    public DataType BoundsType => DataType == DataType.BFloat16 || (IsImage && DataType == DataType.Float16) ? DataType.Float32 : DataType;

    /// <summary>What the value lacks of the module's output, per channel: the bias that the next operator adds.</summary>
    public double[] MissingBias { get; }

    /// <summary>How many axes follow the channels'.</summary>
    public int TrailingAxes => ChannelAxis == 1 ? SpaceAxes.Length : 0;

    /// <summary>The shape of one number per channel that broadcasts over the value.</summary>
    public long[] ChannelShape => [Width, .. Enumerable.Repeat(1L, TrailingAxes)];

    /// <summary>How nodes and constants at the value are called: beside its producer, so that they belong to the same module.</summary>
    public string Hint(string what) => $"{(Node.Name.Length > 0 ? Node.Name : Place.At.Value)}.{what}";

    /// <summary>Makes sure that no parameter leaves the range of its type at a strength.</summary>
    /// <exception cref="OnnxException">One does; the message says how large it may be.</exception>
    public void CheckRange(float strength)
    {
        var limit = ParameterType == DataType.Float16 ? (double)Half.MaxValue : float.MaxValue;
        foreach (var map in Maps)
        {
            var (scale, shift) = map.Scaled(strength, IsChange);
            if (scale.Concat(shift).Max(Math.Abs) is var largest && !(largest <= limit))
                throw new OnnxException($"{Place.At}: at strength {strength:R} a parameter becomes {largest:G4}, which {ParameterType.Name()} cannot hold (up to {limit:G6}). Choose a smaller strength, or fit the map again.");
        }
    }

    /// <summary>Sorts maps' transports by the value they act on, graph by graph in execution order.</summary>
    /// <exception cref="OnnxException">An unknown site, other channels than the site has, or one place steered twice.</exception>
    public static IReadOnlyList<SteeredValue> Of(Model model, SiteTable table, IReadOnlyList<SteeringMap> maps)
    {
        var values = new Dictionary<ValuePlace, SteeredValue>();
        foreach (var (index, map) in maps.Index())
        {
            // As the paper's own implementation has it for images; every other method's map acts pixel by pixel.
            var isMeanMapped = map.Provenance.Method == new LinearFit().Name;
            var taken = new Dictionary<ValuePlace, List<(ValuePlace Place, string Site)>>();
            foreach (var (name, transport) in map.Sites)
            {
                var site = table.Find(name);
                if (transport.Channels != site.Channels)
                    throw new OnnxException($"{model.Source.Name}: site '{name}' has {site.Channels} channels, but the map's transport has {transport.Channels}. The map was fitted on another model.");
                foreach (var place in site.Places)
                {
                    var whole = place.At with { Range = null };
                    if (!taken.TryGetValue(whole, out var inIt))
                        taken[whole] = inIt = [];
                    if (inIt.Find(other => other.Place.Overlaps(place.At)) is { Site: not null } other)
                        throw new OnnxException($"The map steers one place twice: '{other.Site}' and '{name}' are both {place.At}. Take one of them out.");
                    inIt.Add((place.At, name));
                    var isFirst = !values.TryGetValue(whole, out var value);
                    if (value is null)
                        values[whole] = value = Whole(model, site, place, maps.Count);
                    value.Put(index, name, transport, place);
                    value.SetRule(model, isMeanMapped, isFirst);
                }
            }
        }
        return [.. values.Values.OrderBy(value => value.Place.At.Graph, StringComparer.Ordinal).ThenBy(value => value.Place.NodeIndex)];
    }

    private static SteeredValue Whole(Model model, Site site, Place place, int maps)
    {
        var graph = model.GraphAt(place.At.Graph);
        if (model.Functions.Contains(graph))
            throw new OnnxException($"{model.Source.Name}: {place.At} lies in a function body, which every call shares; steering there is not supported.");
        return new SteeredValue(place, graph.Nodes[place.NodeIndex], site, site.WidthAt(model, place), maps);
    }

    // A value v lacks a bias a; with y + a = w*(v + a) + b it becomes y = w*v + (b + (w-1)*a), and bounds move by a.
    private void Put(int map, string name, Transport transport, Place place)
    {
        if (!_sites.Contains(name))
            _sites.Add(name);
        var (from, to, parameters) = (place.ModuleRange?.Start ?? 0, place.At.Range?.Start ?? 0, Maps[map]);
        for (var i = 0; i < (place.At.Range?.Length ?? Width); i++)
        {
            var (w, bias) = ((double)transport.W[from + i], MissingBias[to + i]);
            (parameters.W[to + i], parameters.B[to + i]) = (w, transport.B[from + i] + (w - 1) * bias);
            if (transport.Support is { } support)
                (parameters.Lo[to + i], parameters.Hi[to + i]) = (support.Lo[from + i] - bias, support.Hi[from + i] - bias);
        }
    }

    private void SetRule(Model model, bool isMeanMapped, bool isFirst)
    {
        if (!isFirst && IsImage && ShiftsByMean != isMeanMapped)
            throw new OnnxException($"{model.Source.Name}: {Place.At} is a feature map, which linear maps shift by their change of the mean over space and others steer pixel by pixel; one bank cannot do both there.");
        ShiftsByMean = isMeanMapped && IsImage;
    }

    private static double[] ReadBias(Graph graph, Place place, int width)
    {
        if (place.MissingBias is not { } name || graph.Constant(name) is not { } bias || bias.ElementCount != width)
            throw new OnnxException($"{place.At} lacks its module's bias '{place.MissingBias}', which the next operator adds; a constant of {width} channels was expected. Steer the value behind that operator, as value:NAME.");
        return [.. bias.ToSingles().Select(value => (double)value)];
    }
}

/// <summary><c>w*z + b</c> where <c>lo &lt; z &lt; hi</c>, per channel of a value.</summary>
internal sealed class ChannelParameters
{
    public ChannelParameters(int channels)
    {
        (W, B, Lo, Hi) = (new double[channels], new double[channels], new double[channels], new double[channels]);
        W.AsSpan().Fill(1);
        Lo.AsSpan().Fill(double.NegativeInfinity);
        Hi.AsSpan().Fill(double.PositiveInfinity);
    }

    public double[] W { get; }

    public double[] B { get; }

    public double[] Lo { get; }

    public double[] Hi { get; }

    public bool HasScale => W.Any(w => w != 1);

    public bool HasShift => B.Any(b => b != 0);

    public bool HasSupport => Lo.Any(double.IsFinite) || Hi.Any(double.IsFinite);

    /// <summary>
    /// What multiplies and what is added under a strength: <c>1 + λ(w−1)</c> and <c>λb</c> of a value, <c>λ(w−1)</c> and
    /// <c>λb</c> of the change of a sum.
    /// </summary>
    public (double[] Scale, double[] Shift) Scaled(double strength, bool isChange) =>
        ([.. W.Select(w => (isChange ? 0 : 1) + strength * (w - 1))], [.. B.Select(b => strength * b)]);
}
