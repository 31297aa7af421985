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
    /// A later patch acts on what the earlier ones made.
    /// </summary>
    /// <exception cref="OnnxException">
    /// The map belongs to another model, names a site that is not there or one place twice, changes nothing, or cannot be
    /// written in that mode.
    /// </exception>
    public static GraphPatch Patch(Model model, SteeringMap map, SteeringOptions? options = null) =>
        Patch(model, [map], options ?? new SteeringOptions(), isBank: false);

    /// <summary>
    /// The live patch that holds several maps: the graph input <c>onnxsteer.map[.LABEL]</c> chooses one by its number from 0 on;
    /// their count, or -1, is no map at all. Each batch row may choose for itself.
    /// </summary>
    /// <exception cref="OnnxException">As for one map; or there are none, or another mode.</exception>
    public static GraphPatch Bank(Model model, IReadOnlyList<SteeringMap> maps, SteeringOptions options)
    {
        if (maps.Count == 0 || options.Mode != Mode.Live)
            throw new OnnxException($"A bank holds at least one map and needs --mode live, by whose input a map is chosen; {maps.Count} maps and mode {NameOf(options.Mode)} were given.");
        return Patch(model, maps, options, isBank: true);
    }

    /// <summary>The graph input that is the dial of a live patch of that label: <c>onnxsteer.strength[.LABEL]</c>.</summary>
    public static string DialOf(string label) => Labelled("onnxsteer.strength", label);

    /// <summary>The graph input that chooses the map of a bank of that label: <c>onnxsteer.map[.LABEL]</c>.</summary>
    public static string ChoiceOf(string label) => Labelled("onnxsteer.map", label);

    private static GraphPatch Patch(Model model, IReadOnlyList<SteeringMap> maps, SteeringOptions options, bool isBank)
    {
        var table = SiteTable.Of(model);
        var origin = Origin.Of(model, table);
        if (!options.Force)
            foreach (var fittedOn in maps.Select(map => map.Provenance.Fingerprint).Append(options.Gate?.Direction.FittedOn).Distinct())
                Origin.Require(model, table, origin, fittedOn);
        foreach (var map in maps)
            CheckEffect(map, options);
        var values = SteeredValue.Of(model, table, maps).Where(value => options.AllowIdentity || value.HasScale || value.HasShift).ToList();
        CheckOperators(model, values, options);
        var label = options.Label ?? (isBank ? null : maps[0].Provenance.Label) ?? "";
        values.ForEach(value => value.CheckRange(options.Strength));
        var patch = options.Mode == Mode.Folded ? FoldedMode.Of(model, values, options) : Inserted(model, table, values, label, options, isBank).Patch;
        return patch with { Title = TitleOf(maps, options, label, values.Count, patch, isBank).With(Origin.Properties(origin)) };
    }

    /// <summary>The patch that steers values by inserted nodes, and what happens at each value.</summary>
    internal static (GraphPatch Patch, IReadOnlyList<ValueStep> Steps) Inserted(Model model, SiteTable table, IReadOnlyList<SteeredValue> values, string label, SteeringOptions options, bool isBank)
    {
        var names = new FreshNames(model);
        var prefix = new Ops(model, "parameters", names);
        var inputs = new OptionalInputs(model);
        var parameters = options.Mode switch
        {
            Mode.Live => LiveMode.Of(prefix, inputs, values, label, options, isBank),
            Mode.Pack => PackMode.Of(inputs, values, label),
            _ => BakedMode.Of(prefix, values, options.Strength, options.AllowIdentity),
        };
        var positions = options.IsEveryToken ? null : PositionMask.Add(prefix, DecoderSignature.Of(model), options.Positions, options.SkipFirst);
        var before = values.ToDictionary(value => value, value => value.IsSum ? "" : names.Value(value.Place.At.Value));
        var gate = options.Gate is null ? null : new GateMasks(model, table.Find(options.Gate.Direction.Site), options.Gate, before, names, positions);
        var mask = positions is null ? null : new TokenMask(prefix, positions, DecoderSignature.Of(model).InputIds);
        var batch = options.Mode == Mode.Live ? new BatchRows(prefix, DecoderSignature.TryOf(model)?.InputIds) : null;
        var steps = values.Zip(parameters, (value, own) => new ValueStep(new Ops(model, value.Place.At.ToString(), names), value, before[value], own, gate?.For(value) ?? mask, batch)).ToList();
        var edits = steps.SelectMany(step => step.Edits()).ToList();
        return (GraphPatch.Empty.With(inputs.Edits).With(prefix.Flush(Graph.MainPath, Anchor.Start)).With(gate?.Edits() ?? []).With(edits), steps);
    }

    private static void CheckOperators(Model model, IReadOnlyList<SteeredValue> values, SteeringOptions options)
    {
        if (model.Opset() is not >= 7 and var opset)
            throw new OnnxException($"{model.Source.Name}: the model uses opset {opset?.ToString(CultureInfo.InvariantCulture) ?? "none"} of ai.onnx; steering needs 7 or newer, where operators broadcast. Convert the model first.");
        foreach (var value in values.Where(value => value.HasSupport || !options.IsEveryToken || options.Gate is not null))
        {
            if ((!options.IsEveryToken || options.Gate is not null) && value.IsImage)
                throw new OnnxException($"{model.Source.Name}: {value.Place.At} is a feature map, which has no tokens; gates, positions other than 'all', and a first token to skip do not apply there.");
            if (model.Opset() < (value.DataType == DataType.BFloat16 ? 16 : 9))
                throw new OnnxException($"{model.Source.Name}: {value.Place.At} is steered within bounds or at some tokens, which needs Where of opset 9, for bfloat16 16; the model uses {model.Opset()}. Convert the model, or fit a map without bounds.");
        }
    }

    private static void CheckEffect(SteeringMap map, SteeringOptions options)
    {
        if (!float.IsFinite(options.Strength))
            throw new OnnxException($"The strength {options.Strength} is no finite number; 0 to 1 is usual.");
        if (options.AllowIdentity)
            return;
        if (map.IsIdentity)
            throw new OnnxException("The map changes nothing: at every site w is 1 and b is 0, or its support is empty. Fit it on samples that differ, or use --allow-identity.");
        if (options is { Mode: Mode.Baked or Mode.Folded, Strength: 0 })
            throw new OnnxException($"Strength 0 {NameOf(options.Mode)} into the graph changes nothing. Choose another strength, --mode live for a dial, or --allow-identity.");
    }

    private static PatchTitle TitleOf(IReadOnlyList<SteeringMap> maps, SteeringOptions options, string label, int values, GraphPatch patch, bool isBank)
    {
        var properties = new Dictionary<string, string>
        {
            ["mode"] = NameOf(options.Mode),
            ["strength"] = options.Strength.ToString("R", CultureInfo.InvariantCulture),
            ["positions"] = options.Positions.ToString().ToLowerInvariant(),
            ["sites"] = string.Join(' ', maps.SelectMany(map => map.Sites).Select(site => site.Site).Distinct()),
            ["values"] = values.ToString(CultureInfo.InvariantCulture),
            ["nodes"] = patch.Edits.OfType<AddNode>().Count().ToString(CultureInfo.InvariantCulture),
            ["method"] = string.Join(' ', maps.Select(map => map.Provenance.Method ?? "unknown").Distinct()),
            ["tool"] = Provenance.ThisTool,
        };
        if (options.SkipFirst)
            properties["skip_first"] = "true";
        if (options.Gate is { } gate)
            properties["gate"] = string.Create(CultureInfo.InvariantCulture, $"{gate.Direction.Site} > {gate.Threshold:R} ({gate.Pooling?.Name() ?? "token"})");
        if (options.Mode == Mode.Live)
            properties["input"] = DialOf(label);
        if (options.Mode == Mode.Pack)
            properties["pack"] = label;
        if (isBank)
        {
            properties["choice"] = ChoiceOf(label);
            properties["maps"] = string.Join(' ', maps.Select((map, index) => $"{index}={map.Provenance.Label ?? $"map{index}"}"));
        }
        return new PatchTitle(label.Length > 0 ? label : "steering", properties.ToImmutableSortedDictionary(StringComparer.Ordinal));
    }

    private static string NameOf(Mode mode) => mode.ToString().ToLowerInvariant();

    private static string Labelled(string name, string label) => label.Length == 0 ? name : $"{name}.{label}";
}
