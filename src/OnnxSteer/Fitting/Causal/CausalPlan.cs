using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>
/// How a causal fit runs a model: the graph in segments, cut at the sites, so that each site is fitted under the maps of the sites
/// before it and yet no node runs twice (AcT, arXiv 2410.23054, section 3.3, whose implementation runs the model anew for
/// every site). A node runs in the last segment before its value is needed; what depends on constants alone is computed wherever
/// it is needed and never passed on.
/// </summary>
/// <remarks>
/// The sites come in the order in which they are fitted. One that stands before a site upstream of it is fitted without that one's map:
/// the part of the graph between them runs once for this, and once more when all maps upstream are known.
/// </remarks>
public sealed class CausalPlan
{
    // ONNX Runtime gives its own casts such names, and so knows those that it may leave out beside another.
    private const string FreeCast = "InsertedPrecisionFreeCast_";

    private readonly CausalGraph _graph;
    private readonly FactTable _facts;

    // Values by the name under which they pass in float32.
    private readonly Dictionary<string, string> _narrow = [];

    private CausalPlan(CausalGraph graph)
    {
        (_graph, _facts) = (graph, FactTable.Of(graph.Model.Graph));
        Segments = [.. new Schedule(graph).Segments().Select(segment => segment with { Inputs = Passed(segment.Inputs), Outputs = Passed(segment.Outputs), Releases = Passed(segment.Releases) })];
    }

    /// <summary>The segments in the order in which they run.</summary>
    public ImmutableArray<Segment> Segments { get; }

    /// <summary>Plans a causal fit.</summary>
    /// <param name="model">The model; control flow around sites must be inlined.</param>
    /// <param name="sites">The sites in the order in which they are fitted.</param>
    /// <param name="rules">How they are pooled and steered.</param>
    /// <exception cref="OnnxException">A site lies in a body of control flow, or cannot be steered or pooled; no sites.</exception>
    public static CausalPlan Of(Model model, IReadOnlyList<Site> sites, CausalRules rules)
    {
        Fit.CheckCausal(rules.Method);
        if (sites.Count == 0)
            throw new OnnxException("A causal fit needs at least one site.");
        if (sites.SelectMany(site => site.Places).FirstOrDefault(place => place.At.Graph != Graph.MainPath) is { } inner)
            throw new OnnxException($"{model.Source.Name}: {inner.At} lies in the body of a control flow node, which runs as a whole; a causal fit cuts the main graph only. Fit all sites at once.");
        return new CausalPlan(new CausalGraph(model, sites, rules));
    }

    /// <summary>
    /// A segment as a model of its own. Values of float16 and bfloat16 pass in float32: where a processor lacks kernels of theirs,
    /// ONNX Runtime computes in float32 from node to node, and so it does from segment to segment.
    /// </summary>
    /// <param name="segment">The segment.</param>
    /// <param name="typeOf">Element type and shape, in some batch, of each of its <see cref="Segment.Inputs"/>, as they came from earlier segments.</param>
    public Model Extract(Segment segment, Func<string, (DataType Type, long[] Shape)> typeOf)
    {
        var casts = segment.Inputs.Where(_narrow.ContainsKey).Select(name => Cast(name, _narrow[name], _facts[_narrow[name]].DataType))
            .Concat(segment.Outputs.Where(_narrow.ContainsKey).Select(name => Cast(_narrow[name], name, DataType.Float32)));
        return Extraction.Of(_graph.Model, segment.Nodes, casts, segment.Inputs.Select(name => Info(name, typeOf(name), _facts[_narrow.GetValueOrDefault(name, name)].LastDim)), segment.Outputs.Concat(segment.Pooled));
    }

    /// <summary>The optional inputs of a segment under the maps fitted so far.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="fitted">The transport of a site that is fitted already.</param>
    public IReadOnlyList<AdapterParameter> Parameters(Segment segment, Func<Site, Transport> fitted) =>
        [.. _graph.Parameters([.. segment.Steered.Select(site => new SiteTransport(site.Name, fitted(site)))])];

    private ImmutableArray<string> Passed(ImmutableArray<string> names) => [.. names.Select(name =>
    {
        if (_facts[name].DataType is not (DataType.Float16 or DataType.BFloat16))
            return name;
        var wide = $"{name}{Names.Mark}wide";
        _narrow[wide] = name;
        return wide;
    })];

    private static NodeProto Cast(string from, string to, DataType type) =>
        new() { OpType = "Cast", Name = FreeCast + to, Input = { from }, Output = { to }, Attribute = { Ops.Int("to", (long)type) } };

    // The last size is stated where it is known: attention takes the width of packed queries, keys and values for zero where it is not.
    private static ValueInfoProto Info(string name, (DataType Type, long[] Shape) type, long? width)
    {
        var shape = new TensorShapeProto();
        for (var i = 0; i < type.Shape.Length; i++)
            shape.Dim.Add(i == type.Shape.Length - 1 && type.Shape[i] == width ? new TensorShapeProto.Types.Dimension { DimValue = type.Shape[i] } : new TensorShapeProto.Types.Dimension());
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type.Type, Shape = shape } } };
    }
}

/// <summary>How sites are pooled and steered in a causal fit.</summary>
/// <param name="Method">The method, which decides how feature maps are steered.</param>
/// <param name="IsBounded">Whether its maps have supports.</param>
/// <param name="Pooling">How tokens become one row.</param>
/// <param name="IsChosen">Whether the input <see cref="SiteTaps.PooledTokens"/> says which tokens count.</param>
/// <param name="SkipFirst">Whether maps leave the first token of a sequence alone.</param>
public sealed record CausalRules(IFitMethod Method, bool IsBounded, Pooling Pooling, bool IsChosen = false, bool SkipFirst = false);

/// <summary>A part of a graph that runs at once, over all batches, before the next.</summary>
/// <param name="Inputs">Values of earlier segments that it reads.</param>
/// <param name="Outputs">Values it makes that later segments read.</param>
/// <param name="Releases">Values of earlier segments, and its own, that no later one reads.</param>
/// <param name="Steered">Sites whose transports act in it.</param>
/// <param name="Taps">The sites that are fitted behind it, and the outputs that hold their pooled activations.</param>
/// <param name="Insides">Sites fitted before, and the outputs that hold the share of each channel's tokens within the support.</param>
public sealed record Segment(
    ImmutableArray<string> Inputs, ImmutableArray<string> Outputs, ImmutableArray<string> Releases, ImmutableArray<Site> Steered, ImmutableArray<SiteTap> Taps, ImmutableArray<SiteTap> Insides)
{
    /// <summary>The outputs that hold what is pooled, <c>[batch, channels]</c>, each once.</summary>
    public IEnumerable<string> Pooled => Taps.Concat(Insides).SelectMany(tap => tap.Parts).Select(part => part.Output).Distinct();

    internal ImmutableArray<Node> Nodes { get; init; } = [];
}
