using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>What happens at one value, in every mode that inserts nodes: multiply, add, select.</summary>
/// <param name="ops">Makes the nodes.</param>
/// <param name="value">The value.</param>
/// <param name="before">What the value is called as it was before.</param>
/// <param name="parameters">Its parameters, by name.</param>
/// <param name="mask">Which tokens are steered; null for all.</param>
/// <param name="batch">
/// Set where parameters hold a row for each batch row: what tells the number of rows, so that a value <c>[batch*tokens, channels]</c>
/// can be seen as <c>[batch, tokens, channels]</c>.
/// </param>
internal sealed class ValueStep(Ops ops, SteeredValue value, string before, ScaledParameters parameters, TokenMask? mask, BatchRows? batch)
{
    private bool IsSelected => parameters.Lo is not null || mask is not null;

    // Rows of tokens, which one parameter a batch row does not fit.
    private bool IsFlat => batch is not null && value is { Rank: 2, TrailingAxes: 0 };

    /// <summary>The edits: new nodes behind the value's producer, or before the fused norm whose sum it is.</summary>
    public IEnumerable<Edit> Edits() => value.IsSum ? Sum() : After();

    private IEnumerable<Edit> After()
    {
        var place = value.Place.At with { Range = null };
        if (value.ShiftsByMean)
        {
            var wide = Widened(before);
            Sum("add", wide, Change(wide), place.Value);
        }
        else
        {
            var z = IsFlat ? ops.Node(value.Hint("rows"), "Reshape", before, batch!.Shape(value.Width)) : before;
            Transported(z, () => z, IsFlat ? null : place.Value, out var steered);
            if (IsFlat)
                ops.Node(value.Hint("flat"), "Reshape", place.Value, [steered, ops.Integers(-1, value.Width)]);
        }
        return [new RenameOutput(ops.Label, place.Graph, place.Value, before), .. ops.Flush(place.Graph, Anchor.After(place.Value))];
    }

    // The sum inside a fused skip norm is changed through one of its summands: the norm sees it, and at strength 0 the
    // node computes what it always did, to the bit.
    private IEnumerable<Edit> Sum()
    {
        var (graph, node) = (value.Place.At.Graph, value.Node);
        var sum = Widened(SkipNorm.Sum(ops, value.Hint("sum"), node));
        if (IsFlat)
            sum = ops.Node(value.Hint("rows"), "Reshape", sum, batch!.Shape(value.Width));
        var change = Change(sum);
        if (IsFlat)
            change = ops.Node(value.Hint("flat"), "Reshape", change, ops.Integers(-1, value.Width));
        var (input, changed) = (SkipNorm.ChangedInput(node), ops.Fresh(value.Hint("skip")));
        Sum("skip", Widened(node.Inputs[input]), change, changed);
        return [new ReplaceInput(ops.Label, graph, node.Outputs[0], input, changed), .. ops.Flush(graph, Anchor.Before(node.Outputs[0]))];
    }

    // The change λ (T(z) − z) where the map acts, else 0.
    private string Change(string z)
    {
        Transported(z, () => ops.Constant(value.Hint("zero"), value.ParameterType, [], [0]), null, out var change);
        return change;
    }

    // z*scale + shift, or of a change without scale the shift alone; where not selected what is to stay. The last node makes
    // the name given.
    private void Transported(string z, Func<string> otherwise, string? output, out string result)
    {
        string Name(bool isLast, string what) => isLast && output is not null ? output : ops.Fresh(value.Hint(what));
        result = z;
        if (parameters.Scale is { } scale)
            result = ops.Node(value.Hint("mul"), "Mul", Name(parameters.Shift is null && !IsSelected, "mul"), [value.ShiftsByMean ? Mean(z) : z, Shaped(z, scale)]);
        if (parameters.Shift is { } shift)
            result = value.IsChange && parameters.Scale is null ? Shaped(z, shift)
                : ops.Node(value.Hint("add"), "Add", Name(!IsSelected, "add"), [result, Shaped(z, shift)]);
        if (IsSelected)
            result = ops.Node(value.Hint("select"), "Where", Name(true, "select"), [Mask(z), result, otherwise()]);
    }

    private string Mask(string z)
    {
        if (parameters.Lo is not { } lo || parameters.Hi is not { } hi)
            return mask!.For(value, IsFlat);
        var hint = value.Hint("support");
        var compared = value.IsImage ? Mean(z) : value.BoundsType == value.ParameterType ? z : ops.Cast(hint, z, value.BoundsType);
        var inside = ops.Node(hint, "And", ops.Node(hint, "Less", Shaped(z, lo), compared), ops.Node(hint, "Less", compared, Shaped(z, hi)));
        return mask is null ? inside : ops.Node(hint, "And", inside, mask.For(value, IsFlat));
    }

    // Each channel's mean over space, in a type that holds the sum.
    private string Mean(string z) => _mean ??= ops.Reduce(value.Hint("mean"), "ReduceMean",
        value.BoundsType == value.ParameterType ? z : ops.Cast(value.Hint("wide"), z, value.BoundsType), keep: true, value.SpaceAxes.AsSpan());

    private string Widened(string z) => value.ParameterType == value.DataType ? z : ops.Cast(value.Hint("wide"), z, value.ParameterType);

    // The sum, rounded back where it was widened.
    private void Sum(string what, string z, string change, string output)
    {
        if (value.ParameterType == value.DataType)
            ops.Node(value.Hint(what), "Add", output, [z, change]);
        else
            ops.Node(value.Hint(what), "Cast", output, [ops.Node(value.Hint(what), "Add", z, change)], Ops.Int("to", (long)value.DataType));
    }

    // A row of parameters for each batch row needs as many axes between as the value has, which here only the run knows.
    private string Shaped(string z, string parameter)
    {
        if (batch is null || value.Rank is not null)
            return parameter;
        _shape ??= ops.Node(value.Hint("shape"), "Concat", ops.Fresh(value.Hint("shape")),
            [ops.Integers(-1), ops.Ones(value.Hint("shape"), ops.Node(value.Hint("shape"), "Sub", ops.Node(value.Hint("shape"), "Shape", ops.Node(value.Hint("shape"), "Shape", z)), ops.Integers(2))), ops.Integers(value.Width)],
            Ops.Int("axis", 0));
        return ops.Node(value.Hint("shape"), "Reshape", parameter, _shape);
    }

    private string? _shape, _mean;
}

/// <summary>Sees rows of tokens as rows of the batch.</summary>
/// <param name="ops">Nodes that run before all others.</param>
/// <param name="inputIds">The token ids, <c>[batch, tokens]</c>; null for a model without, whose first axis is the batch.</param>
internal sealed class BatchRows(Ops ops, string? inputIds)
{
    private const string Hint = "onnxsteer.rows";
    private readonly Dictionary<int, string> _shapes = [];

    /// <summary>The shape <c>[batch, -1, channels]</c>, as a name in the graph.</summary>
    public string Shape(int channels)
    {
        if (!_shapes.TryGetValue(channels, out var shape))
            _shapes[channels] = shape = inputIds is null ? ops.Integers(0, 1, channels)
                : ops.Node(Hint, "Concat", ops.Fresh(Hint), [ops.Node(Hint, "Gather", ops.Node(Hint, "Shape", inputIds), ops.Integers(0)), ops.Integers(-1, channels)], Ops.Int("axis", 0));
        return shape;
    }
}
