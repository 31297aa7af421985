namespace OnnxSteer.Onnx.Patching;

/// <summary>Takes away what some outputs do not need.</summary>
public static class Pruning
{
    /// <summary>
    /// The patch that leaves of the main graph only what the named outputs need. Other outputs stay where the node that
    /// makes them stays: an attention node whose declared <c>present</c> outputs go away fails to run.
    /// </summary>
    /// <param name="model">The model, in which the outputs are declared already.</param>
    /// <param name="outputs">Names of the graph outputs to keep.</param>
    /// <exception cref="OnnxException">One of them is not an output of the graph.</exception>
    public static GraphPatch To(Model model, IReadOnlyCollection<string> outputs)
    {
        var graph = model.Graph;
        foreach (var name in outputs)
            if (graph.Outputs.All(output => output.Name != name))
                throw new OnnxException($"{model.Source.Name}: '{name}' is no output of the graph.{Names.Nearest(name, graph.Outputs.Select(output => output.Name))}");
        var needed = new HashSet<string>(outputs);
        var kept = new bool[graph.Nodes.Length];
        var queue = new Queue<string>(outputs);
        while (queue.TryDequeue(out var name))
            if (graph.Producer(name) is { } node && !kept[node.Index])
            {
                kept[node.Index] = true;
                foreach (var need in node.Needs)
                    if (needed.Add(need))
                        queue.Enqueue(need);
            }
        var made = graph.Nodes.Where(node => kept[node.Index]).SelectMany(node => node.Outputs).ToHashSet();
        return GraphPatch.Empty
            .With(Removals(Part.Node, graph.Nodes, node => !kept[node.Index]))
            .With(Removals(Part.Initializer, graph.Initializers, tensor => !needed.Contains(tensor.Name)))
            .With(Removals(Part.Input, graph.Inputs, input => !needed.Contains(input.Name)))
            .With(Removals(Part.Output, graph.Outputs, output => !needed.Contains(output.Name) && !made.Contains(output.Name)))
            .With(Removals(Part.ValueInfo, graph.ValueInfos, info => !needed.Contains(info.Name) && !made.Contains(info.Name)));
    }

    private static IEnumerable<Edit> Removals<T>(Part part, IEnumerable<T> items, Func<T, bool> isUnneeded) =>
        items.Index().Where(entry => isUnneeded(entry.Item)).Select(entry => new Remove("prune", Graph.MainPath, part, entry.Index));
}
