using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Parameters under graph inputs with defaults: <c>onnxsteer.strength[.LABEL]</c>, and of a bank <c>onnxsteer.map[.LABEL]</c>,
/// which chooses one of several maps by its number. Each holds one value or one per batch row. All parameters are computed
/// once a run: one gather (of a bank), one product, one sum, then a split.
/// </summary>
internal static class LiveMode
{
    private const string Hint = "onnxsteer.parameters";

    /// <summary>The parameters of each value, broadcasting over it, a row of them for each batch row.</summary>
    /// <param name="ops">Nodes that run before all others.</param>
    /// <param name="inputs">Where the inputs go.</param>
    /// <param name="values">The values, each with as many maps.</param>
    /// <param name="label">The label.</param>
    /// <param name="options">Default strength, identities.</param>
    /// <param name="isBank">Whether an input chooses the map.</param>
    public static IReadOnlyList<ScaledParameters> Of(
        Ops ops, OptionalInputs inputs, IReadOnlyList<SteeredValue> values, string label, SteeringOptions options, bool isBank)
    {
        inputs.Add(Steering.DialOf(label), DataType.Float32, [OptionalInputs.Rows], [1], BitConverter.GetBytes(options.Strength));
        var dial = ops.Reshape("onnxsteer.strength", Steering.DialOf(label), -1, 1, 1);
        string? choice = null;
        if (isBank)
        {
            inputs.Add(Steering.ChoiceOf(label), DataType.Int64, [OptionalInputs.Rows], [1], BitConverter.GetBytes(0L));
            choice = ops.Reshape("onnxsteer.map", Steering.ChoiceOf(label), -1, 1);
            // Gather counts negative numbers from the end, where all but -1 would be somebody else's map.
            if (ops.Opset >= 12)
                choice = ops.Node("onnxsteer.map", "Max", choice, ops.Integers(-1));
        }
        var result = new ScaledParameters[values.Count];
        foreach (var sameType in values.Index().GroupBy(entry => (entry.Item.ParameterType, entry.Item.BoundsType)))
        {
            var (type, compared) = sameType.Key;
            ParameterTable factors = new(isBank), bounds = new(isBank);
            var offsets = new List<double>();
            var places = new List<(int Index, SteeredValue Value, int? Scale, int? Shift, int? Lo, int? Hi)>();
            foreach (var (index, value) in sameType)
            {
                var hasBounds = isBank && value.HasSupport;
                places.Add((index, value,
                    value.HasScale || options.AllowIdentity ? Factor(value.Maps.Select(map => map.W.Select(w => w - 1).ToArray()), value.IsChange ? 0 : 1) : null,
                    value.HasShift || options.AllowIdentity ? Factor(value.Maps.Select(map => map.B), 0) : null,
                    hasBounds ? Bound(value.Maps.Select(map => map.Lo), Floats.Down, double.NegativeInfinity) : null,
                    hasBounds ? Bound(value.Maps.Select(map => map.Hi), Floats.Up, double.PositiveInfinity) : null));
            }
            var scaled = ops.Node(Hint, "Mul", dial, factors.Row(ops, Hint, DataType.Float32, choice));
            if (offsets.Exists(offset => offset != 0))
                scaled = ops.Node(Hint, "Add", scaled, ops.Constant(Hint, DataType.Float32, [offsets.Count], [.. offsets]));
            var parameters = ops.SplitLast(Hint, type == DataType.Float32 ? scaled : ops.Cast(Hint, scaled, type), factors.Sizes);
            var limits = bounds.Sizes.Count == 0 ? [] : ops.SplitLast(Hint, bounds.Row(ops, Hint, compared, choice), bounds.Sizes);
            foreach (var (index, value, scale, shift, lo, hi) in places)
            {
                // Without a choice the bounds are constants.
                var fixedBounds = isBank ? (null, null) : ScaledParameters.Bounds(ops, value, value.Maps[0]);
                result[index] = new ScaledParameters(Part(parameters, scale, value), Part(parameters, shift, value),
                    Part(limits, lo, value) ?? fixedBounds.Lo, Part(limits, hi, value) ?? fixedBounds.Hi);
            }

            int Factor(IEnumerable<double[]> maps, double offset)
            {
                var known = factors.Sizes.Count;
                var part = factors.Add(maps, 0, $"{offset}");
                if (part == known)
                    offsets.AddRange(Enumerable.Repeat(offset, (int)factors.Sizes[part]));
                return part;
            }

            int Bound(IEnumerable<double[]> maps, Func<DataType, double, double> round, double none) =>
                bounds.Add(maps.Select(map => map.Select(bound => round(compared, bound)).ToArray()), none, "");
        }
        return result;

        // A part is [rows, 1, channels]; values of other ranks need other axes between or behind.
        string? Part(string[] parts, int? at, SteeredValue value)
        {
            if (at is not { } index)
                return null;
            var between = (value.Rank ?? 3) - 2 - value.TrailingAxes;
            return value.TrailingAxes == 0 && (value.Rank ?? 3) <= 3 ? parts[index]
                : ops.Reshape(Hint, parts[index], [-1, .. Enumerable.Repeat(1L, between), .. value.ChannelShape]);
        }
    }
}
