using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>No nodes: a fixed strength goes into the constants of what makes each value.</summary>
internal static class FoldedMode
{
    private const int Listed = 12;
    private const string Label = "fold";

    /// <summary>The edits.</summary>
    /// <exception cref="OnnxException">Some sites cannot be folded exactly; the message says which and why.</exception>
    public static GraphPatch Of(Model model, IReadOnlyList<SteeredValue> values, SteeringOptions options)
    {
        if (options.Positions != Positions.All)
            throw new OnnxException($"Folded weights act on every token, so positions '{options.Positions.ToString().ToLowerInvariant()}' cannot be folded. Use --mode baked or live.");
        if (options.SkipFirst)
            throw new OnnxException("Folded weights act on every token, so skipping the first cannot be folded. Use --mode baked or live.");
        if (options.Gate is not null)
            throw new OnnxException("Folded weights act on every token, so a gate cannot be folded. Use --mode baked or live.");
        var folder = new Folder(model);
        var obstacles = new List<(SteeredValue Value, string Why)>();
        foreach (var value in values)
            if (folder.Fold(value, options.Strength) is { } obstacle)
                obstacles.Add((value, obstacle));
        var names = new FreshNames(model);
        var edits = new List<Edit>();
        foreach (var uses in folder.Uses.GroupBy(use => use.Tensor is null ? (object)use : (use.Tensor, use.Reader.Input(use.Input))))
            if (SharedWith(folder.Constants, [.. uses]) is { } other && uses.First() is { IsMatrix: true } matrix)
                obstacles.Add((folder.OwnerOf(matrix), $"its weights '{matrix.Reader.Input(matrix.Input)}' are read by {other} too, which must not change"));
            else
                edits.AddRange(Edits(folder.Constants, names, [.. uses]));
        if (obstacles.Count > 0)
            throw new OnnxException($"{model.Source.Name}: {obstacles.Count} of {values.Count} steered values cannot be folded exactly: {string.Join("; ", obstacles.Take(Listed).Select(entry => $"{string.Join(", ", entry.Value.Sites)}: {entry.Why}"))}{(obstacles.Count > Listed ? "; and more" : "")}. Use --mode baked for the same at a fixed strength, or leave these sites out.");
        return GraphPatch.Empty.With(edits);
    }

    // Who reads a constant and does not want it changed just so.
    private static string? SharedWith(Constants constants, IReadOnlyList<ConstantUse> uses) =>
        uses[0].Reader.Input(uses[0].Input) is not { } name ? null
        : constants.OtherReader(name, [.. uses.Select(use => (use.Reader, use.Input))])
            ?? uses.Where(use => !use.Change.Equals(uses[0].Change)).Select(use => use.Reader.ToString()).FirstOrDefault();

    // All uses of one constant: it is rewritten where that suits all who read it; else each reader gets one of its own.
    private static IEnumerable<Edit> Edits(Constants constants, FreshNames names, IReadOnlyList<ConstantUse> uses)
    {
        var (reader, input, tensor) = (uses[0].Reader, uses[0].Input, uses[0].Tensor);
        var name = reader.Input(input);
        if (tensor is not null && reader.Graph.DefinerOf(name!) is { } owner && owner.Producer(name!) is null && SharedWith(constants, uses) is null)
            return [new RewriteInitializer(Label, owner.Path, name!, uses[0].Change.Of(tensor))];
        return uses.SelectMany(use => Own(names, use));
    }

    /// <summary>What a bias is called that folding gives to a node without one; where a fused norm takes it, it tells whose it is.</summary>
    public static string BiasOf(Node node) => $"{(node.Name.Length > 0 ? node.Name : node.Outputs[0])}.bias";

    private static IEnumerable<Edit> Own(FreshNames names, ConstantUse use)
    {
        var name = names.Value(use.Tensor is { Name.Length: > 0 } tensor ? tensor.Name : BiasOf(use.Owner));
        var bytes = use.Tensor is null ? Floats.Bytes(use.DataType, use.Numbers()) : use.Change.Of(use.Tensor).ToArray();
        return
        [
            new AddInitializer(Label, Graph.MainPath, Ops.Tensor(name, use.DataType, use.Dims, bytes)),
            new ReplaceInput(Label, use.Reader.Graph.Path, use.Reader.Outputs.First(output => output.Length > 0), use.Input, name),
        ];
    }
}
