using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// A graph in which every site is intercepted, by parameters that are optional inputs and the identity until they are given, and
/// pooled as it is before its own intercept. So one graph serves every step of a causal fit.
/// </summary>
internal sealed class CausalGraph
{
    private readonly Model _base;
    private readonly SiteTable _table;
    private readonly Dictionary<string, int> _parameters = [];
    private readonly ImmutableArray<ImmutableArray<int>> _sitesOf;

    /// <param name="model">The model; all sites lie in its main graph.</param>
    /// <param name="sites">The sites.</param>
    /// <param name="pooling">How their tokens become one row.</param>
    /// <param name="provenance">Of the maps to come: their method decides how feature maps are steered.</param>
    /// <param name="isBounded">Whether the maps will have supports.</param>
    public CausalGraph(Model model, IReadOnlyList<Site> sites, Pooling pooling, Provenance provenance, bool isBounded)
    {
        (_base, _table, Provenance) = (model, SiteTable.Of(model), provenance);
        var template = new SteeringMap(sites.Select(site => new SiteTransport(site.Name, Template(site, isBounded))), provenance);
        var values = SteeredValue.Of(model, _table, [template]);
        var (patch, before) = Steering.Inserted(model, _table, values, "", new SteeringOptions { Mode = Mode.Pack }, isBank: false);
        var numbers = sites.Index().ToDictionary(entry => entry.Item.Name, entry => entry.Index);
        _sitesOf = [.. values.Select(value => value.Sites.Select(site => numbers[site]).ToImmutableArray())];
        foreach (var (index, value) in values.Index())
            foreach (var parameter in PackMode.Adapt(value, "", 1))
                _parameters[parameter.Name] = index;
        var steered = model.Apply(patch);
        var ops = new Ops(steered, "pooling", new FreshNames(steered));
        var pools = new SitePooling(ops, DecoderSignature.TryOf(model), pooling);
        var raw = values.Zip(before).ToDictionary(entry => entry.First.Place.At with { Range = null }, entry => entry.Second);
        Taps = [.. sites.Select(site => new SiteTap(site, [.. site.Places.Select(place => (place, pools.Add(site, Complete(place, raw[place.At with { Range = null }]))))]))];
        Model = steered.Apply(GraphPatch.Empty.With(ops.Flush(Graph.MainPath, Anchor.Start)));

        string Complete(Place place, string value) => place.MissingBias is { } bias ? ops.Node("onnxsteer.tap", "Add", value, bias) : value;
    }

    /// <summary>The graph with all intercepts and pools.</summary>
    public Model Model { get; }

    /// <summary>Of each site, the values that hold its pooled activations.</summary>
    public ImmutableArray<SiteTap> Taps { get; }

    public Provenance Provenance { get; }

    /// <summary>The sites, by number, whose transports an optional input carries; none for any other value.</summary>
    public ImmutableArray<int> SitesBehind(string input) => _parameters.TryGetValue(input, out var value) ? _sitesOf[value] : [];

    /// <summary>What the inputs of the values that transports act on are to be.</summary>
    public IEnumerable<AdapterParameter> Parameters(IReadOnlyCollection<SiteTransport> transports) => transports.Count == 0 ? []
        : SteeredValue.Of(_base, _table, [new SteeringMap(transports, Provenance)]).SelectMany(value => PackMode.Adapt(value, "", 1));

    private static Transport Template(Site site, bool isBounded)
    {
        ImmutableArray<float> Of(float value) => [.. Enumerable.Repeat(value, site.Channels)];
        return isBounded ? Transport.Of(site.Name, Of(1), Of(1), Of(-1), Of(1)) : Transport.Of(site.Name, Of(1), Of(1));
    }
}
