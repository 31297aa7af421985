using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// The onnxruntime-genai model builder: node names are paths of its own (<c>/model/layers.0/attn/o_proj/MatMul</c>),
/// residual sums live inside fused skip norms, and query, key and value may be one packed projection.
/// </summary>
internal static partial class GenaiDialect
{
    public static Dialect Instance { get; } = new("genai", Recognise, Sites);

    private static string? Recognise(Model model)
    {
        if (model.Producer.StartsWith("onnxruntime-genai", StringComparison.Ordinal))
            return $"producer '{model.Producer}'";
        // The builder's paths in a graph that something else wrote again.
        var attention = model.Graph.Nodes.Count(node => AttentionName().IsMatch(node.Name));
        return attention > 0 ? $"{attention} nodes are named as the onnxruntime-genai builder names attention; producer '{model.Producer}'" : null;
    }

    private static ImmutableArray<Site> Sites(Model model)
    {
        var graph = model.Graph;
        var scopes = ModuleScopes.Of(graph);
        var builder = new SiteBuilder(graph, scopes.Facts);
        foreach (var (scope, node) in scopes.Outputs)
        {
            if (scope.EndsWith("/qkv_proj", StringComparison.Ordinal))
                AddPacked(builder, scopes, scope, node);
            else if (ModuleOf(scope) is { } module)
                builder.Add(module, node, 0, $"name: the last value of '/{scope}' that is read outside it", Confidence.Certain);
        }
        foreach (var node in graph.Nodes.Where(SkipNorm.Is))
            if (SumOf(node) is { } site)
                builder.Add(site, node, SkipNorm.SumOutput(node), $"structure: the sum inside the fused skip norm '{node.Label}'", Confidence.Certain,
                    hook: node.Output(SkipNorm.SumOutput(node)) is null ? Hook.Absent : Hook.Unfuse);
        return builder.Build("model.");
    }

    // The builder's paths in the words of the PyTorch modules; null for what is no module there.
    private static string? ModuleOf(string scope)
    {
        if (FinalNorm().IsMatch(scope))
            return "model.norm";
        var steps = scope.Split('/');
        if (steps is ["model", _, "attn", ..])
            steps[2] = "self_attn";
        return steps[^1] switch
        {
            "self_attn" or "mlp" or "act_fn" or "embed_tokens" or "lm_head" or "fc1" or "fc2" => string.Join('.', steps),
            var name when name.EndsWith("_proj", StringComparison.Ordinal) || name.EndsWith("norm", StringComparison.Ordinal) => string.Join('.', steps),
            _ => null,
        };
    }

    // Query, key and value heads lie one after the other; the attention node knows how many of each.
    private static void AddPacked(SiteBuilder builder, ModuleScopes scopes, string scope, Node node)
    {
        var value = node.Outputs[0];
        if (scopes.Graph.Consumers(value).FirstOrDefault(reader => reader.Is("GroupQueryAttention")) is not { } attention || scopes.Facts[value].LastDim is not { } width)
            return;
        var (heads, groups) = (attention.Attribute("num_heads")?.Int ?? 0, attention.Attribute("kv_num_heads")?.Int ?? 0);
        if (heads <= 0 || groups <= 0 || width % (heads + 2 * groups) != 0)
            return;
        var head = width / (heads + 2 * groups);
        var start = 0;
        foreach (var (part, size) in new[] { ("q_proj", heads * head), ("k_proj", groups * head), ("v_proj", groups * head) })
        {
            var range = new AxisRange(start, start += (int)size);
            builder.Add(ModuleOf($"{scope[..scope.LastIndexOf('/')]}/{part}")!, node, 0,
                $"structure: part {range} of the packed projection '{node.Label}', {heads} query and {groups} key-value heads of {head}", Confidence.Certain, range);
        }
    }

    // The first norm of a layer adds up the block before it, the final norm the last block, any other one this block's middle.
    private static string? SumOf(Node node)
    {
        if (LayerNorm().Match(node.Name) is not { Success: true } match)
            return null;
        var layer = int.Parse(match.Groups["layer"].ValueSpan, CultureInfo.InvariantCulture);
        return match.Groups["norm"].Value switch
        {
            "input_layernorm" or "final_norm_layernorm" => layer > 0 ? $"model.layers.{layer - 1}" : null,
            "post_attention_layernorm" => $"model.layers.{layer}.residual_mid",
            _ => null,
        };
    }

    [GeneratedRegex(@"^/model/layers\.\d+/attn/(GroupQueryAttention|MultiHeadAttention|Attention)$")]
    private static partial Regex AttentionName();

    [GeneratedRegex(@"^model/layers\.\d+/final_norm_layernorm$")]
    private static partial Regex FinalNorm();

    [GeneratedRegex(@"^/model/layers\.(?<layer>\d{1,6})/(?<norm>\w+)/")]
    private static partial Regex LayerNorm();
}
