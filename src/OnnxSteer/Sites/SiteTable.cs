using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>All sites of a model, in execution order, and which dialect found them.</summary>
public sealed class SiteTable
{
    /// <summary>What a site that is named by its value alone begins with.</summary>
    public const string ValuePrefix = "value:";

    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(2);
    private readonly Model _model;
    private readonly Dictionary<string, Site> _byName;

    private SiteTable(Model model, string dialect, string evidence, ImmutableArray<Site> sites)
    {
        (_model, Dialect, Evidence, Sites) = (model, dialect, evidence, sites);
        _byName = new Dictionary<string, Site>(sites.Sum(site => 1 + site.Aliases.Length));
        // A name of its own beats an alias of another site.
        foreach (var site in sites)
            _byName.TryAdd(site.Name, site);
        foreach (var site in sites)
            foreach (var alias in site.Aliases)
                _byName.TryAdd(alias, site);
    }

    /// <summary>Which exporter's names the graph bears: <c>genai</c>, <c>dynamo</c>, <c>torchscript</c>; <c>structure</c> where only dataflow tells; else <c>unknown</c>.</summary>
    public string Dialect { get; }

    /// <summary>What the dialect was recognised by.</summary>
    public string Evidence { get; }

    /// <summary>The sites in execution order.</summary>
    public ImmutableArray<Site> Sites { get; }

    // A caller looks for sites, and patching looks again.
    private static readonly ConditionalWeakTable<Model, SiteTable> Known = [];

    /// <summary>Finds the sites of a model, once. An unknown graph has none, but any value can still be named.</summary>
    public static SiteTable Of(Model model) => Known.GetValue(model, Make);

    private static SiteTable Make(Model model)
    {
        foreach (var dialect in Dialects.All)
            if (dialect.Recognise(model) is { } evidence)
                return new SiteTable(model, dialect.Name, evidence, dialect.Sites(model));
        return new SiteTable(model, "unknown", "no dialect knows the graph's names", []);
    }

    /// <summary>
    /// The sites whose name, or one of whose aliases, a regular expression matches from end to end; or the one value that
    /// <c>value:NAME</c> names (in a subgraph also <c>value:main/NODE:then_branch/NAME</c>). A site matched by an alias only bears
    /// that alias. A value's channels lie on its last axis; on axis 1 if it is a feature map with channels first, as convolutions
    /// and group norms make it.
    /// </summary>
    /// <exception cref="OnnxException">The pattern is no regular expression, or matches nothing; the message lists the nearest names.</exception>
    public ImmutableArray<Site> Matching(string pattern)
    {
        if (pattern.StartsWith(ValuePrefix, StringComparison.Ordinal))
            return [OfValue(pattern)];
        Regex regex;
        try
        {
            // On its own first: a pattern must not close the group around it.
            _ = new Regex(pattern, RegexOptions.CultureInvariant, PatternTimeout);
            regex = new Regex($@"\A(?:{pattern})\z", RegexOptions.CultureInvariant, PatternTimeout);
        }
        catch (ArgumentException e)
        {
            throw new OnnxException($"The site pattern '{pattern}' is no regular expression: {e.Message}", e);
        }
        try
        {
            ImmutableArray<Site> found = [.. Sites.SelectMany(site => site.Names.Where(name => regex.IsMatch(name)).Take(1).Select(site.Called))];
            return found.IsEmpty ? throw Missing($"The site pattern '{pattern}' matches none of the {Sites.Length} sites of {_model.Source.Name}.", pattern) : found;
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new OnnxException($"The site pattern '{pattern}' takes too long to match; write it without nested repetitions.", e);
        }
    }

    /// <summary>The site of that name or alias, or of a <c>value:NAME</c>, called by it.</summary>
    /// <exception cref="OnnxException">There is none; the message lists the nearest names.</exception>
    public Site Find(string name)
    {
        if (name.StartsWith(ValuePrefix, StringComparison.Ordinal))
            return OfValue(name);
        return _byName.TryGetValue(name, out var site) ? site.Called(name)
            : throw Missing($"{_model.Source.Name} has no site '{name}' (dialect: {Dialect}, {Sites.Length} sites; {Evidence}).", name);
    }

    private OnnxException Missing(string what, string name)
    {
        if (Sites.IsEmpty)
            return new OnnxException($"{what} No site is known by name in this graph; name a value as '{ValuePrefix}NAME'.");
        var names = Sites.SelectMany(site => site.Names);
        // Who writes no path wants to know which modules there are, not which short paths look alike.
        if (!name.Contains('.', StringComparison.Ordinal))
            names = names.Select(path => path[(path.LastIndexOf('.') + 1)..]).Where(module => !module.All(char.IsAsciiDigit));
        return new OnnxException($"{what}{Names.Nearest(name, names)} A whole name or alias is matched, as by '.*o_proj'; 'onnxsteer inspect' lists them all.");
    }

    // 'value:NAME' is a value of the main graph, or else one of every body that makes it (both branches of a merged decoder);
    // 'value:PATH/NAME' one of the graph of that path alone.
    private Site OfValue(string name)
    {
        var value = name[ValuePrefix.Length..];
        var graphs = _model.Graphs.Where(graph => !graph.IsFunction).ToList();
        var makers = _model.Graph.Defines(value) ? [_model.Graph] : graphs.Where(graph => graph.Producer(value) is not null).ToList();
        if (makers.Count == 0 && graphs.Where(graph => value.StartsWith(graph.Path + "/", StringComparison.Ordinal)).MaxBy(graph => graph.Path.Length) is { } body)
            (makers, value) = ([body], value[(body.Path.Length + 1)..]);
        if (makers.Count == 0 && _model.Functions.FirstOrDefault(function => function.Producer(value) is not null) is { } function)
            throw new OnnxException($"{_model.Source.Name}: value '{value}' lies in '{function.Path}', a function's body, which every call shares; steering there is not supported.");
        if (makers.Count == 0)
            makers.Add(_model.Graph);
        var places = makers.Select(graph => PlaceOf(graph, value)).ToList();
        var (_, facts) = places[0];
        if (places.FirstOrDefault(place => place.Facts.Channels != facts.Channels || place.Facts.DataType != facts.DataType).Place is { } other)
            throw new OnnxException($"{_model.Source.Name}: value '{value}' is not of one type and size in '{makers[0].Path}' and '{other.At.Graph}'. Name one of them as '{ValuePrefix}{other.At.Graph}/{value}'.");
        return new Site(name, [], [.. places.Select(place => place.Place)], facts.DataType, facts.Rank, facts.ChannelAxis, (int)facts.Channels!.Value,
            places[0].Place.NodeIndex, "named by its value", Confidence.Certain, facts.Layout);
    }

    private (Place Place, ValueFacts Facts) PlaceOf(Graph graph, string value)
    {
        var at = new ValuePlace(graph.Path, value);
        var node = Names.RequireProducer(_model, at);
        var facts = FactTable.Of(graph)[value];
        if (!facts.DataType.IsFloat() || facts.Channels is not (> 0 and <= int.MaxValue))
            throw new OnnxException($"{_model.Source.Name}: value '{value}' cannot be steered: a floating point tensor with an axis of channels of known size was expected, this is {facts.DataType.Name()} with {(facts.ChannelAxis == 1 ? "axis 1" : "last axis")} {facts.Channels?.ToString() ?? "unknown"}.");
        return (new Place(at, node.Index, node.Label, null, SkipNorm.IsSum(node, value) ? Hook.Unfuse : Hook.After), facts);
    }
}
