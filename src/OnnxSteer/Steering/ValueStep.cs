using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>
/// What happens at one value, in every mode that inserts nodes: multiply, add, select. Feature maps are bounded by each channel's
/// mean over space; by a map of method <c>linear</c> the channel is shifted by what the map does to that mean.
/// </summary>
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
    private string? _mean, _shape, _sum;

    /// <summary>What the value is called as it was before; of a fused norm's sum only once the edits are made.</summary>
    public string Before => _sum ?? before;

    /// <summary>Which elements lie within the support, once the edits are made; null without one.</summary>
    public string? Inside { get; private set; }

    private bool IsSelected => parameters.Lo is not null || mask is not null;

    // Rows of tokens, which one parameter a batch row does not fit.
    private bool IsFlat => batch is not null && value is { Rank: 2 };

    private bool IsWidened => value.ParameterType != value.DataType;

    /// <summary>The edits: new nodes behind the value's producer, or before the fused norm whose sum it is.</summary>
    public IEnumerable<Edit> Edits() => value.IsSum ? Sum() : After();

    private IEnumerable<Edit> After()
    {
        var place = value.Place.At with { Range = null };
        var z = Rows(before);
        if (value.ShiftsByMean)
            Added(value.Hint("add"), Widened(z), Transported(Widened(z), null), place.Value);
        else if (IsFlat)
            ops.Node(value.Hint("flat"), "Reshape", place.Value, [Transported(z, null), ops.Integers(-1, value.Width)]);
        else
            Transported(z, place.Value);
        return [new RenameOutput(ops.Label, place.Graph, place.Value, before), .. ops.Flush(place.Graph, Anchor.After(place.Value))];
    }

    // The sum inside a fused skip norm is changed through one of its summands: the norm sees it, and at strength 0 the node
    // computes what it always did, to the bit.
    private IEnumerable<Edit> Sum()
    {
        var (graph, node) = (value.Place.At.Graph, value.Node);
        var change = Transported(Widened(Rows(_sum = SkipNorm.Sum(ops, value.Hint("sum"), node))), null);
        if (IsFlat)
            change = ops.Reshape(value.Hint("flat"), change, -1, value.Width);
        var (input, changed) = (SkipNorm.ChangedInput(node), ops.Fresh(value.Hint("skip")));
        Added(value.Hint("skip"), Widened(node.Inputs[input]), change, changed);
        return [new ReplaceInput(ops.Label, graph, node.Outputs[0], input, changed), .. ops.Flush(graph, Anchor.Before(node.Outputs[0]))];
    }

    // z*scale + shift, of a change without scale the shift alone; where not selected z as it was, or no change. The last node
    // makes the name given, if one is.
    private string Transported(string z, string? output)
    {
        string Name(bool isLast, string what) => isLast && output is not null ? output : ops.Fresh(value.Hint(what));
        var result = value.ShiftsByMean && parameters.Scale is not null ? Mean(z) : z;
        if (parameters.Scale is { } scale)
            result = ops.Node(value.Hint("mul"), "Mul", Name(parameters.Shift is null && !IsSelected, "mul"), [result, Shaped(z, scale)]);
        if (parameters.Shift is { } shift)
            result = value.IsChange && parameters.Scale is null ? Shaped(z, shift)
                : ops.Node(value.Hint("add"), "Add", Name(!IsSelected, "add"), [result, Shaped(z, shift)]);
        if (IsSelected)
            result = ops.Node(value.Hint("select"), "Where", Name(true, "select"),
                [Mask(z), result, value.IsChange ? ops.Constant(value.Hint("zero"), value.ParameterType, [], [0]) : z]);
        return result;
    }

    private string Mask(string z)
    {
        if (parameters.Lo is not { } lo || parameters.Hi is not { } hi)
            return mask!.For(value, IsFlat);
        var (hint, bounded) = (value.Hint("support"), Mean(z));
        var inside = Inside = ops.Node(hint, "And", ops.Node(hint, "Less", Shaped(z, lo), bounded), ops.Node(hint, "Less", bounded, Shaped(z, hi)));
        return mask is null ? inside : ops.Node(hint, "And", inside, mask.For(value, IsFlat));
    }

    // What a support bounds: of a feature map each channel's mean over space; else the value itself. In the type for bounds.
    private string Mean(string z)
    {
        if (_mean is null)
        {
            _mean = value.BoundsType == (IsWidened ? value.ParameterType : value.DataType) ? z : ops.Cast(value.Hint("wide"), z, value.BoundsType);
            if (value.IsImage)
                _mean = ops.Reduce(value.Hint("mean"), "ReduceMean", _mean, keep: true, value.SpaceAxes.AsSpan());
        }
        return _mean;
    }

    private string Rows(string z) => IsFlat ? ops.Node(value.Hint("rows"), "Reshape", z, batch!.Shape(value.Width)) : z;

    private string Widened(string z) => IsWidened ? ops.Cast(value.Hint("wide"), z, value.ParameterType) : z;

    // The sum, rounded back where it was widened.
    private void Added(string hint, string z, string change, string output)
    {
        if (IsWidened)
            ops.Node(hint, "Cast", output, [ops.Node(hint, "Add", z, change)], Ops.Int("to", (long)value.DataType));
        else
            ops.Node(hint, "Add", output, [z, change]);
    }

    // A row of parameters for each batch row needs as many axes between as the value has, which here only the run knows.
    private string Shaped(string z, string parameter)
    {
        if (batch is null || value.Rank is not null)
            return parameter;
        var hint = value.Hint("shape");
        _shape ??= ops.Node(hint, "Concat", ops.Fresh(hint),
            [ops.Integers(-1), ops.Ones(hint, ops.Node(hint, "Sub", ops.Node(hint, "Shape", ops.Node(hint, "Shape", z)), ops.Integers(2))), ops.Integers(value.Width)],
            Ops.Int("axis", 0));
        return ops.Node(hint, "Reshape", parameter, _shape);
    }
}
