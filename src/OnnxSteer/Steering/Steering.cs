using System.Collections.Immutable;
using System.Globalization;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>Writes steering maps into graphs.</summary>
public static class Steering
{
    /// <summary>
    /// The patch that makes a model compute <c>y = z + λ (T(z) − z)</c> at every site of a map. The activation is multiplied
    /// and added to once: <c>z*(1+λ(w−1)) + λb</c>; outside a support, and at positions not asked for, it is selected as it was.
    /// Feature maps are steered pixel by pixel, bounded by each channel's mean over space; by a map of method <c>linear</c> the
    /// channel is shifted by what the map does to that mean.
    /// </summary>
    /// <exception cref="OnnxException">
    /// The map belongs to another model, names a site that is not there or one place twice, or changes nothing.
    /// </exception>
    public static GraphPatch Patch(Model model, SteeringMap map, SteeringOptions? options = null)
    {
        options ??= new SteeringOptions();
        var table = SiteTable.Of(model);
        var origin = Origin.Check(model, table, map, options.Force);
        CheckEffect(map, options);
        if (model.Opset() is not >= 7)
            throw new OnnxException($"{model.Source.Name}: the model uses opset {model.Opset()?.ToString(CultureInfo.InvariantCulture) ?? "none"} of ai.onnx; steering needs 7 or newer, where operators broadcast. Convert the model first.");
        var values = ValueTransport.Of(model, table, map).Where(value => options.AllowIdentity || value.HasScale || value.HasShift).ToList();
        if (options.Positions != Positions.All && values.Find(value => value.IsImage) is { } image)
            throw new OnnxException($"{model.Source.Name}: {image.Place.At} is a feature map, which has no tokens; positions other than 'all' do not apply there.");
        var label = options.Label ?? map.Provenance.Label ?? "";
        var names = new FreshNames(model);
        var prefix = new Ops(model, "parameters", names);
        var mask = options.Positions == Positions.All ? null : PositionMask.Add(prefix, DecoderSignature.Of(model), options.Positions);
        var patch = GraphPatch.Empty with { Title = TitleOf(map, options, label, values.Count, origin) };
        IReadOnlyList<ScaledParameters>? live = null;
        if (options.Mode == Mode.Live)
        {
            (live, var dial) = Parameters.Live(prefix, model, values, label, options.Strength, options.AllowIdentity);
            patch = patch.With(dial);
        }
        patch = patch.With(prefix.Flush(Graph.MainPath, Anchor.Start));
        foreach (var (index, value) in values.Index())
        {
            var ops = new Ops(model, value.Place.At.ToString(), names);
            var parameters = live?[index] ?? Parameters.Baked(ops, value, options.Strength, options.AllowIdentity);
            patch = value.IsSum ? SteerSum(patch, model, ops, value, parameters, mask) : SteerValue(patch, model, ops, value, parameters, mask);
        }
        return patch;
    }

    /// <summary>The graph input that is the dial of a live patch of that label: <c>onnxsteer.strength[.LABEL]</c>.</summary>
    public static string DialOf(string label) => label.Length == 0 ? "onnxsteer.strength" : $"onnxsteer.strength.{label}";

    private static GraphPatch SteerValue(GraphPatch patch, Model model, Ops ops, ValueTransport value, ScaledParameters parameters, string? positions)
    {
        var place = value.Place.At with { Range = null };
        var before = ops.Fresh(place.Value);
        string Hint(string what) => Parameters.Hint(value, what);
        if (value.ShiftsByMean)
        {
            var wide = Widened(ops, value, before);
            Sum(ops, value, Hint("add"), wide, Change(ops, value, parameters, wide, positions), place.Value);
        }
        else
        {
            var selected = value.HasSupport || positions is not null;
            var steered = before;
            if (parameters.Scale is { } scale)
                steered = ops.Node(Hint("mul"), "Mul", selected || parameters.Shift is not null ? ops.Fresh(Hint("mul")) : place.Value, [steered, scale]);
            if (parameters.Shift is { } shift)
                steered = ops.Node(Hint("add"), "Add", selected ? ops.Fresh(Hint("add")) : place.Value, [steered, shift]);
            if (selected)
                ops.Node(Hint("select"), "Where", place.Value, [Mask(ops, value, () => Mean(ops, value, before), positions), steered, before]);
        }
        return patch.With(new RenameOutput(ops.Label, place.Graph, place.Value, before)).With(ops.Flush(place.Graph, Anchor.After(place.Value)));
    }

    // The sum inside a fused skip norm is changed through one of its summands: the norm sees it, and at strength 0 the
    // node computes what it always did, to the bit.
    private static GraphPatch SteerSum(GraphPatch patch, Model model, Ops ops, ValueTransport value, ScaledParameters parameters, string? positions)
    {
        var (graph, node) = (value.Place.At.Graph, value.Node);
        string Hint(string what) => Parameters.Hint(value, what);
        var change = Change(ops, value, parameters, Widened(ops, value, SkipNorm.Sum(ops, Hint("sum"), node)), positions);
        var (input, changed) = (SkipNorm.ChangedInput(node), ops.Fresh(Hint("skip")));
        Sum(ops, value, Hint("skip"), Widened(ops, value, node.Inputs[input]), change, changed);
        return patch.With(new ReplaceInput(ops.Label, graph, node.Outputs[0], input, changed)).With(ops.Flush(graph, Anchor.Before(node.Outputs[0])));
    }

    // λ (T(z) − z) where the map acts, else 0.
    private static string Change(Ops ops, ValueTransport value, ScaledParameters parameters, string z, string? positions)
    {
        string Hint(string what) => Parameters.Hint(value, what);
        var mean = new Lazy<string>(() => Mean(ops, value, z));
        var change = parameters.Scale is { } scale ? ops.Node(Hint("mul"), "Mul", value.ShiftsByMean ? mean.Value : z, scale) : null;
        if (parameters.Shift is { } shift)
            change = change is null ? shift : ops.Node(Hint("add"), "Add", change, shift);
        return value.HasSupport || positions is not null
            ? ops.Node(Hint("select"), "Where", Mask(ops, value, () => mean.Value, positions), change!, ops.Constant(Hint("zero"), value.ParameterType, [], [0]))
            : change!;
    }

    // What a support bounds: of a feature map each channel's mean over space, in a type that holds the sum; else the value itself.
    private static string Mean(Ops ops, ValueTransport value, string z) => !value.IsImage ? z
        : ops.Reduce(Parameters.Hint(value, "mean"), "ReduceMean", value.ParameterType == value.MeanType ? z : ops.Cast(Parameters.Hint(value, "wide"), z, value.MeanType),
            keep: true, value.SpaceAxes.AsSpan());

    private static string Widened(Ops ops, ValueTransport value, string z) =>
        value.ParameterType == value.DataType ? z : ops.Cast(Parameters.Hint(value, "wide"), z, value.ParameterType);

    // The sum, rounded back where it was widened.
    private static void Sum(Ops ops, ValueTransport value, string hint, string z, string change, string output)
    {
        if (value.ParameterType == value.DataType)
            ops.Node(hint, "Add", output, [z, change]);
        else
            ops.Node(hint, "Cast", output, [ops.Node(hint, "Add", z, change)], Ops.Int("to", (long)value.DataType));
    }

    private static string Mask(Ops ops, ValueTransport value, Func<string> mean, string? positions)
    {
        if (positions is not null && value.Rank is int rank and not 3)
            positions = ops.Reshape(Parameters.Hint(value, "positions"), positions, rank == 2 ? [-1, 1] : [0, 0, .. Enumerable.Repeat(1L, rank - 2)]);
        if (!value.HasSupport)
            return positions!;
        var hint = Parameters.Hint(value, "support");
        var lo = ops.Constant(hint, value.MeanType, value.ParameterDims, [.. value.Lo.Select(bound => (double)bound)], Floats.Down);
        var hi = ops.Constant(hint, value.MeanType, value.ParameterDims, [.. value.Hi.Select(bound => (double)bound)], Floats.Up);
        var z = mean();
        var inside = ops.Node(hint, "And", ops.Node(hint, "Less", lo, z), ops.Node(hint, "Less", z, hi));
        return positions is null ? inside : ops.Node(hint, "And", inside, positions);
    }

    private static void CheckEffect(SteeringMap map, SteeringOptions options)
    {
        if (!float.IsFinite(options.Strength))
            throw new OnnxException($"The strength {options.Strength} is no finite number; 0 to 1 is usual.");
        if (options.AllowIdentity)
            return;
        if (map.IsIdentity)
            throw new OnnxException("The map changes nothing: at every site w is 1 and b is 0, or its support is empty. Fit it on samples that differ, or use --allow-identity.");
        if (options.Mode == Mode.Baked && options.Strength == 0)
            throw new OnnxException("Strength 0 baked into the graph changes nothing. Choose another strength, --mode live for a dial, or --allow-identity.");
    }

    private static PatchTitle TitleOf(SteeringMap map, SteeringOptions options, string label, int values, Fingerprint origin)
    {
        var properties = ImmutableSortedDictionary.CreateRange(StringComparer.Ordinal, new Dictionary<string, string>
        {
            ["mode"] = options.Mode.ToString().ToLowerInvariant(),
            ["strength"] = options.Strength.ToString("R", CultureInfo.InvariantCulture),
            ["positions"] = options.Positions.ToString().ToLowerInvariant(),
            ["sites"] = string.Join(' ', map.Sites.Select(site => site.Site)),
            ["values"] = values.ToString(CultureInfo.InvariantCulture),
            ["method"] = map.Provenance.Method ?? "unknown",
            ["tool"] = Provenance.ThisTool,
        });
        if (options.Mode == Mode.Live)
            properties = properties.Add("input", DialOf(label));
        return new PatchTitle(label.Length > 0 ? label : "steering", properties.AddRange(Origin.Properties(origin)));
    }
}
