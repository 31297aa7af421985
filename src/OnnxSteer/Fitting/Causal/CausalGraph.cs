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
    private readonly Provenance _provenance;
    private readonly Dictionary<string, int> _parameters = [];
    private readonly ImmutableArray<ImmutableArray<int>> _sitesOf;

    /// <param name="model">The model; all sites lie in its main graph.</param>
    /// <param name="sites">The sites.</param>
    /// <param name="rules">How they are pooled and steered.</param>
    public CausalGraph(Model model, IReadOnlyList<Site> sites, CausalRules rules)
    {
        (_base, _table, _provenance) = (model, SiteTable.Of(model), new Provenance(Method: rules.Method.Name));
        var template = new SteeringMap(sites.Select(site => new SiteTransport(site.Name, Template(site, rules.IsBounded))), _provenance);
        var values = SteeredValue.Of(model, _table, [template]);
        var (patch, steps) = Steering.Inserted(model, _table, values, "", new SteeringOptions { Mode = Mode.Pack, SkipFirst = rules.SkipFirst }, isBank: false);
        var numbers = sites.Index().ToDictionary(entry => entry.Item.Name, entry => entry.Index);
        _sitesOf = [.. values.Select(value => value.Sites.Select(site => numbers[site]).ToImmutableArray())];
        foreach (var (index, value) in values.Index())
            foreach (var parameter in PackMode.Adapt(value, "", 1))
                _parameters[parameter.Name] = index;
        var steered = model.Apply(patch);
        var (ops, signature) = (new Ops(steered, "pooling", new FreshNames(steered)), DecoderSignature.TryOf(model));
        var (pools, shares) = (new SitePooling(ops, signature, rules.Pooling, rules.IsChosen), new SitePooling(ops, signature, Pooling.Mean, rules.IsChosen));
        var stepOf = values.Zip(steps).ToDictionary(entry => entry.First.Place.At with { Range = null }, entry => entry.Second);
        Taps = Read(step => step.Before, (site, place, value) => pools.Add(site, place.MissingBias is { } bias ? ops.Node("onnxsteer.tap", "Add", value, bias) : value));
        Insides = !rules.IsBounded ? [] : Read(step => step.Inside!, (site, _, value) => shares.Add(site with { DataType = DataType.Float32 }, ops.Cast("onnxsteer.inside", value, DataType.Float32)));
        Model = steered.Apply(GraphPatch.Empty.With(pools.Edits));

        ImmutableArray<SiteTap> Read(Func<ValueStep, string> of, Func<Site, Place, string, string> pool) =>
            [.. sites.Select(site => new SiteTap(site, [.. site.Places.Select(place => (place, pool(site, place, of(stepOf[place.At with { Range = null }]))))]))];
    }

    /// <summary>The graph with all intercepts and pools.</summary>
    public Model Model { get; }

    /// <summary>Of each site, the values that hold its pooled activations.</summary>
    public ImmutableArray<SiteTap> Taps { get; }

    /// <summary>Of each site, the values that hold the share of each channel's tokens that lie within the support; none without supports.</summary>
    public ImmutableArray<SiteTap> Insides { get; }

    /// <summary>The sites, by number, whose transports an optional input carries; none for any other value.</summary>
    public ImmutableArray<int> SitesBehind(string input) => _parameters.TryGetValue(input, out var value) ? _sitesOf[value] : [];

    /// <summary>What the inputs of the values that transports act on are to be.</summary>
    public IEnumerable<AdapterParameter> Parameters(IReadOnlyCollection<SiteTransport> transports) => transports.Count == 0 ? []
        : SteeredValue.Of(_base, _table, [new SteeringMap(transports, _provenance)]).SelectMany(value => PackMode.Adapt(value, "", 1));

    private static Transport Template(Site site, bool isBounded)
    {
        ImmutableArray<float> Of(float value) => [.. Enumerable.Repeat(value, site.Channels)];
        return isBounded ? Transport.Of(site.Name, Of(1), Of(1), Of(-1), Of(1)) : Transport.Of(site.Name, Of(1), Of(1));
    }
}
