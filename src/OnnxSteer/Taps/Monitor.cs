using System.Collections.Immutable;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>
/// An extra output with the projection of a site's activations on a direction, so that a product sees a trait before it is
/// said. Where the site is steered, what is seen is the steered activation.
/// </summary>
/// <param name="Name">The output is <c>onnxsteer.monitor.NAME</c>, float32.</param>
/// <param name="Direction">Site and vector.</param>
/// <param name="Pooling">How a call's real tokens are pooled, which gives <c>[batch]</c>; null for each token by itself, <c>[batch, tokens]</c>.</param>
public sealed partial record Monitor(string Name, Direction Direction, Pooling? Pooling)
{
    private const string Prefix = "onnxsteer.monitor.";

    /// <summary>The graph output.</summary>
    public string Output => Prefix + Name;

    /// <summary>The patch that adds the output.</summary>
    /// <param name="model">The model.</param>
    /// <param name="force">Take a direction that was fitted on another model.</param>
    /// <exception cref="OnnxException">The name is not usable or taken, the site is not there, or the model is no language model.</exception>
    public GraphPatch Patch(Model model, bool force = false)
    {
        if (!UsableName().IsMatch(Name))
            throw new OnnxException($"'{Name}' cannot name a monitor: letters, digits, '_', '-' and '.' were expected.");
        if (model.Graph.Outputs.Any(output => output.Name == Output))
            throw new OnnxException($"{model.Source.Name}: the output '{Output}' is there already. Name the monitor otherwise.");
        var signature = DecoderSignature.Of(model);
        var table = SiteTable.Of(model);
        var origin = Origin.Of(model, table);
        if (!force)
            Origin.Require(model, table, origin, Direction.FittedOn);
        var site = table.Find(Direction.Site);
        var names = new FreshNames(model);
        var ops = new Ops(model, "monitor", names);
        var points = new TapPoints(model, names, "monitor");
        var projection = Projection.Add(ops, signature, site, Direction, Pooling, points.PartsOf(site).ToList());
        if (Pooling is null)
            ops.Node(Output, "Reshape", Output, [projection, ops.Node(Output, "Shape", signature.InputIds)]);
        else
            ops.Node(Output, "Reshape", Output, [projection, ops.Integers(-1)]);
        return (points.Patch with { Title = Title(site, origin) }).With(ops.Flush(Graph.MainPath, Anchor.End))
            .With(new AddOutput("monitor", Info()));
    }

    private PatchTitle Title(Site site, Fingerprint origin) => new(Name, ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, new Dictionary<string, string>
    {
        ["mode"] = "monitor",
        ["output"] = Output,
        ["pooling"] = Pooling?.Name() ?? "token",
        ["sites"] = site.Name,
        ["tool"] = Provenance.ThisTool,
    }).AddRange(Origin.Properties(origin)));

    private ValueInfoProto Info()
    {
        var shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimParam = "batch_size" } } };
        if (Pooling is null)
            shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimParam = "sequence_length" });
        return new ValueInfoProto { Name = Output, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)DataType.Float32, Shape = shape } } };
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_.-]{1,100}\z")]
    private static partial Regex UsableName();
}
