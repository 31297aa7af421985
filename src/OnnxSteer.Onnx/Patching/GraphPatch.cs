using System.Collections.Immutable;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Patching;

/// <summary>
/// A change of a model as a value: made without touching the model, printed, compared, tested, applied by
/// <see cref="Model.Apply"/>. The two things done to a graph are both built of the same edits: a tap reads a value out,
/// an intercept replaces a value by a function of it.
/// </summary>
public sealed record GraphPatch
{
    // A patch of a big graph grows by thousands of steps, so a step keeps what it adds and the one before.
    private readonly GraphPatch? _before;
    private readonly ImmutableArray<Edit> _added;
    private ImmutableArray<Edit> _edits;

    private GraphPatch(GraphPatch? before, ImmutableArray<Edit> added) => (_before, _added) = (before, added);

    /// <summary>The patch that does nothing.</summary>
    public static GraphPatch Empty { get; } = new(null, []);

    /// <summary>What is done, with a label each.</summary>
    public ImmutableArray<Edit> Edits => _edits.IsDefault ? _edits = Gather() : _edits;

    /// <summary>
    /// Under which title the patch records itself in the model's metadata, so that it can be undone; null for a patch that
    /// is never saved and leaves no record.
    /// </summary>
    public PatchTitle? Title { get; init; }

    /// <summary>The patch with more edits.</summary>
    public GraphPatch With(params IEnumerable<Edit> edits) => new(this, [.. edits]) { Title = Title };

    /// <summary>Reads a value out of the main graph: it becomes an output. One that is an output already stays as it is.</summary>
    /// <exception cref="OnnxException">The graph has no such value, or the place is not in the main graph.</exception>
    public GraphPatch Tap(Model model, ValuePlace place, string label)
    {
        if (place.Graph != Graph.MainPath)
            throw new OnnxException($"{model.Source.Name}: {place} lies in a subgraph; only values of the main graph can be read out.");
        Names.RequireValue(model, place);
        if (model.Graph.Outputs.Any(output => output.Name == place.Value) || Edits.Any(edit => edit is AddOutput added && added.Info.Name == place.Value))
            return this;
        var info = new ValueInfoProto { Name = place.Value };
        if (model.Graph.Info(place.Value)?.Type is { } type)
            info.Type = type;
        return With(new AddOutput(label, info));
    }

    /// <summary>
    /// Replaces a value by a function of it. The producer's output gets a new name and the inserted nodes make the old one,
    /// so that consumers, captures of subgraphs, graph outputs and annotations stay valid.
    /// </summary>
    /// <param name="model">The model the patch is for.</param>
    /// <param name="place">The value; its range is the function's business.</param>
    /// <param name="label">What this is for.</param>
    /// <param name="function">Given the new name of the old value and the name to make, the nodes between, in order.</param>
    /// <exception cref="OnnxException">No node makes the value.</exception>
    public GraphPatch Intercept(Model model, ValuePlace place, string label, Func<string, string, IEnumerable<NodeProto>> function)
    {
        Names.RequireProducer(model, place);
        var before = Names.Fresh(model, place.Value);
        var nodes = function(before, place.Value);
        return With(new RenameOutput(label, place.Graph, place.Value, before))
            .With(nodes.Select(node => new AddNode(label, place.Graph, Anchor.After(place.Value), node)));
    }

    /// <summary>Whether both do the same under the same title.</summary>
    public bool Equals(GraphPatch? other) => other is not null && Title == other.Title && Edits.SequenceEqual(other.Edits);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Title, Edits.Length);

    /// <summary>The edits, a line each.</summary>
    public override string ToString() => string.Join('\n', Edits);

    private ImmutableArray<Edit> Gather()
    {
        var steps = new Stack<ImmutableArray<Edit>>();
        for (var step = this; step is not null; step = step._before)
        {
            steps.Push(step._edits.IsDefault ? step._added : step._edits);
            if (!step._edits.IsDefault)
                break;
        }
        return [.. steps.SelectMany(edits => edits)];
    }
}

/// <summary>What a patch says of itself in the model's metadata.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Properties">What else a reader may want to know: mode, strength, map.</param>
public sealed record PatchTitle(string Label, ImmutableSortedDictionary<string, string> Properties)
{
    /// <summary>The title with more properties.</summary>
    public PatchTitle With(IEnumerable<KeyValuePair<string, string>> more) => this with { Properties = Properties.AddRange(more) };

    /// <summary>Whether label and properties are the same.</summary>
    public bool Equals(PatchTitle? other) => other is not null && Label == other.Label && Properties.SequenceEqual(other.Properties);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Label, Properties.Count);
}
