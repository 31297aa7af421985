using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Parameters that are graph inputs with the identity as default, to be given by adapter files: <c>onnxsteer.scale[.LABEL]:VALUE</c>
/// and so on, one number or one per channel.
/// </summary>
internal static class PackMode
{
    /// <summary>The names of the parameters of each value; every value gets a factor and a shift, so that other maps fit too.</summary>
    /// <exception cref="OnnxException">Two graphs have a value of the same name, which are not one site.</exception>
    public static IReadOnlyList<ScaledParameters> Of(OptionalInputs inputs, IReadOnlyList<SteeredValue> values, string label)
    {
        var known = new Dictionary<string, SteeredValue>();
        return [.. values.Select(value =>
        {
            var names = NamesOf(value, label);
            // The two branches of a merged decoder have values of the same names.
            if (known.TryGetValue(names.Scale!, out var other))
                return other.Sites.SequenceEqual(value.Sites) && other.IsChange == value.IsChange ? names
                    : throw new OnnxException($"{value.Place.At} and {other.Place.At} are two sites with one name, so an adapter cannot tell them apart. Use another mode.");
            known.Add(names.Scale!, value);
            foreach (var (name, type, identity) in Parameters(value, names))
                // Sizes of one name would have to be equal: an adapter may leave some at 1.
                inputs.Add(name, type, [$"{name}:1_or_{value.Width}", .. Enumerable.Repeat("", value.TrailingAxes)],
                    [1, .. Enumerable.Repeat(1L, value.TrailingAxes)], Floats.Bytes(type, [identity]));
            return names;
        })];
    }

    /// <summary>What an adapter holds for a map under a strength.</summary>
    public static IEnumerable<AdapterParameter> Adapt(SteeredValue value, string label, float strength)
    {
        var (names, map) = (NamesOf(value, label), value.Maps[0]);
        var (scale, shift) = map.Scaled(strength, value.IsChange);
        foreach (var (name, type, _) in Parameters(value, names))
        {
            var numbers = name == names.Scale ? scale : name == names.Shift ? shift
                : name == names.Lo ? [.. map.Lo.Select(bound => Floats.Down(type, bound))] : map.Hi.Select(bound => Floats.Up(type, bound)).ToArray();
            yield return new AdapterParameter(name, type, [.. value.ChannelShape], Floats.Bytes(type, numbers));
        }
    }

    private static ScaledParameters NamesOf(SteeredValue value, string label)
    {
        string Name(string what) => $"onnxsteer.{what}{(label.Length == 0 ? "" : $".{label}")}:{value.Place.At.Value}";
        return new ScaledParameters(Name("scale"), Name("shift"), value.HasSupport ? Name("lo") : null, value.HasSupport ? Name("hi") : null);
    }

    private static IEnumerable<(string Name, DataType Type, double Identity)> Parameters(SteeredValue value, ScaledParameters names)
    {
        yield return (names.Scale!, value.ParameterType, value.IsChange ? 0 : 1);
        yield return (names.Shift!, value.ParameterType, 0);
        if (names.Lo is null)
            yield break;
        yield return (names.Lo, value.BoundsType, double.NegativeInfinity);
        yield return (names.Hi!, value.BoundsType, double.PositiveInfinity);
    }
}
