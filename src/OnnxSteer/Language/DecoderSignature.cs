using System.Collections.Immutable;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>On which side shorter rows of a batch are filled up.</summary>
public enum PaddingSide
{
    /// <summary>Before the first token.</summary>
    Left,

    /// <summary>Behind the last token.</summary>
    Right,
}

/// <summary>One tensor of the key-value cache.</summary>
/// <param name="Past">The graph input.</param>
/// <param name="Present">The graph output that becomes the next call's input.</param>
/// <param name="DataType">Element type.</param>
/// <param name="Heads">Key-value heads, or null where the graph does not say.</param>
/// <param name="HeadSize">Channels of a head, or null where the graph does not say.</param>
public sealed record CacheTensor(string Past, string Present, DataType DataType, int? Heads, int? HeadSize);

/// <summary>
/// What a language model's inputs and outputs are for, by the names that optimum, the onnxruntime-genai builder and their
/// kin give them.
/// </summary>
/// <param name="InputIds">Token ids <c>[batch, tokens]</c>.</param>
/// <param name="AttentionMask">1 for real tokens, of the past too: <c>[batch, past + tokens]</c>; null where there is none.</param>
/// <param name="PositionIds">Positions <c>[batch, tokens]</c>; null where the graph counts itself.</param>
/// <param name="Logits">Logits <c>[batch, tokens, vocabulary]</c>; null in a graph without head.</param>
/// <param name="Cache">The key-value cache; empty where there is none.</param>
/// <param name="Padding">
/// The side that the graph understands. GroupQueryAttention takes only lengths from the mask, so its rows begin at the
/// first column: right. Without a cache right is exact for any model. With a cache that grows column by column, every row
/// must end at the last column: left.
/// </param>
/// <param name="UseCacheBranch">
/// The switch of a merged decoder, bool <c>[1]</c>: whether there is a past. Without one the graph still wants a past of some
/// length, which it does not read. Null where there is no switch.
/// </param>
public sealed partial record DecoderSignature(
    string InputIds,
    string? AttentionMask,
    string? PositionIds,
    string? Logits,
    ImmutableArray<CacheTensor> Cache,
    PaddingSide Padding,
    string? UseCacheBranch = null)
{
    /// <summary>Reads the signature off a model's main graph.</summary>
    /// <exception cref="OnnxException">No token ids among the inputs, or inputs of unknown use.</exception>
    public static DecoderSignature Of(Model model) =>
        TryOf(model) ?? throw new OnnxException($"{model.Source.Name}: no input named 'input_ids' was found, so this does not look like a language model. Its inputs: {string.Join(", ", Inputs(model).Take(12).Select(input => $"'{input.Name}'"))}.");

    /// <summary>As <see cref="Of"/>, but null for a model without token ids.</summary>
    public static DecoderSignature? TryOf(Model model)
    {
        var inputs = Inputs(model).ToList();
        if (inputs.All(input => input.Name != "input_ids"))
            return null;
        var outputs = model.Graph.Outputs.Select(output => output.Name).ToList();
        var cache = ImmutableArray.CreateBuilder<CacheTensor>();
        foreach (var input in inputs)
        {
            if (PastName().Match(input.Name) is not { Success: true } past)
                continue;
            var (layer, part) = (past.Groups["layer"].Value, past.Groups["part"].Value);
            var present = outputs.FirstOrDefault(name => PresentName().Match(name) is { Success: true } match && match.Groups["layer"].Value == layer && match.Groups["part"].Value == part)
                ?? throw new OnnxException($"{model.Source.Name}: the cache input '{input.Name}' has no output 'present.{layer}.{part}' to go on from.");
            var dims = input.Dims;
            cache.Add(new CacheTensor(input.Name, present, input.DataType, (int?)(dims is { Length: 4 } ? dims.Value[1] : null), (int?)(dims is { Length: 4 } ? dims.Value[3] : null)));
        }
        var usesLengths = model.Graphs.Any(graph => graph.Nodes.Any(node => node.Is("GroupQueryAttention")));
        return new DecoderSignature("input_ids", Named("attention_mask"), Named("position_ids"), outputs.Find(name => name == "logits"),
            cache.ToImmutable(), usesLengths || cache.Count == 0 ? PaddingSide.Right : PaddingSide.Left, Named("use_cache_branch"));

        string? Named(string name) => inputs.Any(input => input.Name == name) ? name : null;
    }

    // Inputs that are overridable initializers need not be fed.
    private static IEnumerable<ValueInfo> Inputs(Model model) => model.Graph.Inputs.Where(input => model.Graph.Initializer(input.Name) is null);

    [GeneratedRegex(@"^past(_key_values)?[._](?<layer>\d+)[._](?<part>key|value)$|^past_(?<part>key|value)[._](?<layer>\d+)$", RegexOptions.ExplicitCapture)]
    private static partial Regex PastName();

    [GeneratedRegex(@"^present(_key_values)?[._](?<layer>\d+)[._](?<part>key|value)$|^present_(?<part>key|value)[._](?<layer>\d+)$", RegexOptions.ExplicitCapture)]
    private static partial Regex PresentName();
}
