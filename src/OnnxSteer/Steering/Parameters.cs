using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>
/// The scaled parameters of one value, as names in the graph: for a value <c>z*Scale + Shift</c> with
/// <c>Scale = 1 + λ(w−1)</c>; for a sum the change <c>z*Scale + Shift</c> with <c>Scale = λ(w−1)</c>. Null where nothing is to
/// be multiplied or added. The same change, of the mean over space, shifts feature maps.
/// </summary>
internal sealed record ScaledParameters(string? Scale, string? Shift);

/// <summary>
/// Brings the strength into the parameters, never into the activation: scaling an activation's difference overflows
/// float16 where scaling its parameters does not.
/// </summary>
internal static class Parameters
{
    /// <summary>Constants of a fixed strength.</summary>
    public static ScaledParameters Baked(Ops ops, ValueTransport value, float strength, bool evenIdentity)
    {
        var dims = value.ParameterDims;
        var identity = value.IsChange ? 0.0 : 1.0;
        var scale = value.HasScale || evenIdentity
            ? ops.Constant(Hint(value, "scale"), value.ParameterType, dims, [.. value.W.Select(w => identity + strength * (w - 1.0))]) : null;
        var shift = value.HasShift || evenIdentity
            ? ops.Constant(Hint(value, "shift"), value.ParameterType, dims, [.. value.B.Select(b => (double)strength * b)]) : null;
        return new ScaledParameters(scale, shift);
    }

    /// <summary>
    /// The parameters of all values under the graph input <c>onnxsteer.strength[.LABEL]</c>, computed once a run: one product
    /// and one sum for all of them, then a split. The input may hold one strength or one per batch row.
    /// </summary>
    public static (IReadOnlyList<ScaledParameters> Parameters, IEnumerable<Edit> Edits) Live(
        Ops ops, Model model, IReadOnlyList<ValueTransport> values, string label, float strength, bool evenIdentity)
    {
        var name = Steering.DialOf(label);
        if (model.Graph.Defines(name))
            throw new OnnxException($"{model.Source.Name}: the input '{name}' is there already, from an earlier live patch. Give this map a label of its own (--label), so that it gets its own dial.");
        var edits = new List<Edit> { new AddInput("strength", StrengthInput(name)), new AddInitializer("strength", Graph.MainPath, Ops.Tensor(name, DataType.Float32, [1], BitConverter.GetBytes(strength))) };
        if (model.IrVersion < 4)
            edits.Add(new SetIrVersion("inputs with a default need it", 4));
        var dial = ops.Reshape("onnxsteer.strength", name, -1, 1, 1);
        var result = new ScaledParameters[values.Count];
        foreach (var sameType in values.Index().GroupBy(entry => entry.Item.ParameterType))
            foreach (var (index, parameters) in Product(ops, dial, [.. sameType], sameType.Key, evenIdentity))
                result[index] = parameters;
        return (result, edits);
    }

    /// <summary>How nodes and constants at a value are called: beside its producer, so that they belong to the same module.</summary>
    public static string Hint(ValueTransport value, string what) => $"{(value.Node.Name.Length > 0 ? value.Node.Name : value.Place.At.Value)}.{what}";

    private static IEnumerable<(int Index, ScaledParameters Parameters)> Product(
        Ops ops, string dial, IReadOnlyList<(int Index, ValueTransport Value)> values, DataType type, bool evenIdentity)
    {
        var (factors, offsets, sizes, owners) = (new List<double>(), new List<double>(), new List<long>(), new List<(int Index, bool IsScale)>());
        foreach (var (index, value) in values)
        {
            if (value.HasScale || evenIdentity)
                Append(index, true, value.W.Select(w => w - 1.0), value.IsChange ? 0 : 1);
            if (value.HasShift || evenIdentity)
                Append(index, false, value.B.Select(b => (double)b), 0);
        }
        const string hint = "onnxsteer.parameters";
        var scaled = ops.Node(hint, "Mul", dial, ops.Constant(hint, DataType.Float32, [factors.Count], [.. factors]));
        if (offsets.Exists(offset => offset != 0))
            scaled = ops.Node(hint, "Add", scaled, ops.Constant(hint, DataType.Float32, [offsets.Count], [.. offsets]));
        if (type != DataType.Float32)
            scaled = ops.Cast(hint, scaled, type);
        var parts = ops.SplitLast(hint, scaled, sizes);
        foreach (var (index, value) in values)
            yield return (index, new ScaledParameters(Part(index, true, value), Part(index, false, value)));

        void Append(int index, bool isScale, IEnumerable<double> parameters, double offset)
        {
            var before = factors.Count;
            factors.AddRange(parameters);
            offsets.AddRange(Enumerable.Repeat(offset, factors.Count - before));
            sizes.Add(factors.Count - before);
            owners.Add((index, isScale));
        }

        // A part is [rows, 1, channels]; values of other ranks need as many axes between.
        string? Part(int index, bool isScale, ValueTransport value)
        {
            var at = owners.IndexOf((index, isScale));
            if (at < 0)
                return null;
            return (value.Rank ?? 3) switch
            {
                3 => parts[at],
                2 => ops.Reshape(hint, parts[at], -1, sizes[at]),
                _ when value.IsFirstAxis => ops.Reshape(hint, parts[at], [-1, .. value.ParameterDims]),
                var rank => ops.Reshape(hint, parts[at], [-1, .. Enumerable.Repeat(1L, rank - 2), sizes[at]]),
            };
        }
    }

    private static ValueInfoProto StrengthInput(string name) => new()
    {
        Name = name,
        Type = new TypeProto
        {
            TensorType = new TypeProto.Types.Tensor
            {
                ElemType = (int)DataType.Float32,
                Shape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dimension { DimParam = "onnxsteer_rows" } } },
            },
        },
    };
}
