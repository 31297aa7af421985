namespace OnnxSteer;

/// <summary>
/// Norms whose shift, scale and gate are computed from the time step by one linear layer and cut out of its output. diffusers'
/// return the normalised value and those of the cuts that the block uses itself; their order is that of the cuts.
/// </summary>
internal static class AdaptiveNorm
{
    /// <summary>The elements of what such a module returns; null for any other module, and for one that returns no tuple.</summary>
    public static IEnumerable<(string Element, Export Export, string Evidence)>? Of(ModuleExports exports, string module, IReadOnlyList<Export> own)
    {
        var graph = exports.Source;
        var elements = own.Select(export => (Export: export, Cut: FirstCut(exports, module, export))).ToList();
        if (elements.Find(element => element.Cut is not null).Cut is not { } cut || Count(graph, cut) is not (> 2 and var count) || elements.Exists(element => element.Cut is null))
            return null;
        return elements.Select(element => ($":{Position(element.Cut!.Value.Index, count)}", element.Export,
            $"the value read outside that is made with part {element.Cut!.Value.Index} of {count} of the modulation"));
    }

    // Shift and scale make the normalised value, the rest is handed on one by one; of nine, the seventh and eighth make a second one.
    private static int Position(int cut, long count) => cut <= 1 ? 0 : cut <= 5 || count != 9 ? cut - 1 : cut <= 7 ? 5 : 6;

    private readonly record struct Cut(AuthoredNode Node, string Source, string Value, int Index);

    private static long? Count(AuthoredGraph graph, Cut cut) => graph.Facts[cut.Source].LastDim / graph.Facts[cut.Value].LastDim;

    // The first of the cuts that go into a value by way of the module's own values.
    private static Cut? FirstCut(ModuleExports exports, string module, Export export)
    {
        Cut? first = null;
        var (seen, open) = (new HashSet<string>(), new Stack<(AuthoredNode Node, string Value)>());
        if (export.Value is { } made)
            open.Push((export.Node, made));
        while (open.TryPop(out var entry))
        {
            if (AsCut(exports, module, entry.Node, entry.Value) is { } cut)
            {
                if (first is null || cut.Index < first.Value.Index)
                    first = cut;
                continue;
            }
            foreach (var input in entry.Node.Inputs.Where(input => input.Length > 0 && seen.Add(input) && exports.ScopeOf(input) == module))
                open.Push((exports.Origin(input)!, input));
        }
        return first;
    }

    private static Cut? AsCut(ModuleExports exports, string module, AuthoredNode node, string value)
    {
        var facts = exports.Source.Facts;
        if (node.OpType is not ("Slice" or "Split") || node.Input(0) is not { } source || exports.ScopeOf(source) != $"{module}/linear"
            || facts[value].LastDim is not (> 0 and var size))
            return null;
        if (node.OpType == "Split")
            return new Cut(node, source, value, node.Outputs.IndexOf(value));
        var start = node.Input(1) is { } name ? facts.Integer(name) : node.Node.Attribute("starts")?.Ints is [var first] ? first : null;
        return start is { } at && at % size == 0 ? new Cut(node, source, value, (int)(at / size)) : null;
    }
}
