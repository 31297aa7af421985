namespace OnnxSteer.Onnx.Patching;

/// <summary>Names of values: those there are, and new ones.</summary>
public static class Names
{
    /// <summary>What sets names of inserted values apart.</summary>
    public const string Mark = "__onnxsteer";

    private const int Listed = 5, MaxCompared = 200;

    /// <summary>Whether a patch inserted a node.</summary>
    public static bool IsInserted(Node node) => node.Name.Contains(Mark, StringComparison.Ordinal);

    /// <summary>
    /// A name that nothing in the model bears: <c>NAME__onnxsteer1</c>, or the next number that is free. Patches of one
    /// model never collide.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="name">What the name begins with.</param>
    /// <param name="taken">Names that are to be borne by something else; null for none.</param>
    public static string Fresh(Model model, string name, IReadOnlySet<string>? taken = null)
    {
        var number = PatchRecord.Count(model) + 1;
        while (model.Knows($"{name}{Mark}{number}") || taken?.Contains($"{name}{Mark}{number}") == true)
            number++;
        return $"{name}{Mark}{number}";
    }

    /// <summary>The value's producer.</summary>
    /// <exception cref="OnnxException">No node of that graph makes the value.</exception>
    public static Node RequireProducer(Model model, ValuePlace place)
    {
        RequireValue(model, place);
        return model.GraphAt(place.Graph).Producer(place.Value)
            ?? throw new OnnxException($"{model.Source.Name}: {place} is an input or initializer of the graph, so no node makes it; only values that a node makes can be replaced.");
    }

    /// <summary>Makes sure the graph has the value.</summary>
    /// <exception cref="OnnxException">It has not; the message lists the nearest names.</exception>
    public static void RequireValue(Model model, ValuePlace place)
    {
        var graph = model.GraphAt(place.Graph);
        if (!graph.Defines(place.Value))
            throw new OnnxException($"{model.Source.Name}: graph '{place.Graph}' has no value '{place.Value}'.{Nearest(place.Value, graph.Nodes.SelectMany(node => node.Outputs))}");
    }

    /// <summary>A sentence that lists the names nearest to one, by edit distance.</summary>
    public static string Nearest(string name, IEnumerable<string> names)
    {
        var nearest = new List<(int Distance, string Name)>();
        foreach (var other in names.Where(other => other.Length > 0).Distinct())
        {
            var limit = nearest.Count < Listed ? int.MaxValue : nearest[^1].Distance;
            if (Distance(name, other, limit) is not { } distance)
                continue;
            nearest.Add((distance, other));
            nearest.Sort((a, b) => a.Distance != b.Distance ? a.Distance.CompareTo(b.Distance) : string.CompareOrdinal(a.Name, b.Name));
            if (nearest.Count > Listed)
                nearest.RemoveAt(Listed);
        }
        return nearest.Count == 0 ? "" : $" Nearest: {string.Join(", ", nearest.Select(other => $"'{other.Name}'"))}.";
    }

    // Null where it is more than the limit: graphs have hundreds of thousands of names, most of them far away.
    private static int? Distance(ReadOnlySpan<char> a, ReadOnlySpan<char> b, int limit)
    {
        var same = a.CommonPrefixLength(b);
        a = a[same..Math.Min(a.Length, same + MaxCompared)];
        b = b[same..Math.Min(b.Length, same + MaxCompared)];
        if (Math.Abs(a.Length - b.Length) > limit)
            return null;
        Span<int> row = stackalloc int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
            row[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            var (diagonal, least) = (row[0], i);
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
                least = Math.Min(least, row[j]);
            }
            if (least > limit)
                return null;
        }
        return row[b.Length];
    }
}
