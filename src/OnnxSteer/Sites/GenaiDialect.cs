using System.Collections.Immutable;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// The onnxruntime-genai model builder: node names are paths of its own (<c>/model/layers.0/attn/o_proj/MatMul</c>),
/// residual sums live inside fused skip norms, and query, key and value may be one packed projection.
/// </summary>
internal static partial class GenaiDialect
{
    // Architectures whose own modules are the packed projections, which the graph alone does not tell.
    private static readonly ImmutableHashSet<string> Packed = ["phi3", "phi3v", "phi4mm"];

    public static Dialect Instance { get; } = new("genai", Recognise, model =>
    {
        var packs = DecoderConfig.Of(model).ModelType is { } type && Packed.Contains(type);
        return LanguageSites.OfGraphs(model, graph => Sites(graph, packs));
    })
    {
        ScopeOf = ScopeOf,
    };

    private static string? Recognise(Model model)
    {
        var attention = model.Graph.Nodes.Count(node => AttentionName().IsMatch(node.Name));
        if (model.Producer.StartsWith("onnxruntime-genai", StringComparison.Ordinal))
            return $"producer '{model.Producer}', {attention} attention nodes";
        // The builder's paths in a graph that something else wrote again.
        return attention > 0 ? $"{attention} nodes are named as the onnxruntime-genai builder names attention; producer '{model.Producer}'" : null;
    }

    private static ImmutableArray<Site> Sites(AuthoredGraph graph, bool packs)
    {
        var scopes = ModuleScopes.Of(graph, ScopeOf);
        var builder = new SiteBuilder(graph);
        foreach (var output in scopes.Outputs)
        {
            var (scope, value) = (output.Scope, output.Value);
            var kind = scope[(scope.LastIndexOf('/') + 1)..];
            if (kind == "qkv_proj" && !packs)
                AddPacked(builder, graph, scope, output);
            else if (kind == "gate_proj" && packs)
                builder.AddParts($"{NameOf(scope[..scope.LastIndexOf('/')])}.gate_up_proj", new[] { output, scopes.Own($"{scope[..^kind.Length]}up_proj") }.OfType<ModuleOutput>().Select(part => part.Node.Node),
                    $"name: '{scope}' and 'up_proj' beside it, one module in this architecture", Confidence.Certain);
            else if (IsModule(kind) && !(kind == "up_proj" && packs))
            {
                // A module's own value: not that of a cap or a cast below it. Containers give out what their last module does.
                var own = kind is "mlp" or "attn" ? output : scopes.Own(scope) ?? output;
                own = kind switch { "embed_tokens" => Embedding(graph, own), "lm_head" => Projection(graph, own), "qkv_proj" => Projection(graph, own), _ => own };
                var name = NameOf(scope);
                foreach (var module in kind == "act_fn" && packs ? [name.Replace("act_fn", "activation_fn", StringComparison.Ordinal)] : new[] { name })
                    builder.Add(module, own.Node.Node, own.Output, $"name: the last value of '/{scope}' that is read outside it", Confidence.Certain);
            }
        }
        var stream = ResidualStream.Of(graph);
        LanguageSites.AddStream(builder, graph, stream, scopes.ScopeOf, NameOf, _ => true);
        LanguageSites.AddHeads(builder, graph, scopes.ScopeOf, NameOf);
        return builder.Build("model.");
    }

    // The sum inside a skip norm is none of the norm's.
    private static string? ScopeOf(AuthoredNode node, int output) =>
        SkipNorm.Is(node.Node) && output == SkipNorm.SumOutput(node.Node) ? null : ModuleScopes.PathIn(node.Node.Name) ?? PathOf(node.Outputs[output]);

    private static bool IsModule(string kind) =>
        kind is "attn" or "mlp" or "act_fn" or "embed_tokens" or "lm_head" or "fc1" or "fc2" || kind.EndsWith("_proj", StringComparison.Ordinal) || kind.EndsWith("norm", StringComparison.Ordinal);

    // The builder's paths in the words of the PyTorch modules.
    private static string NameOf(string scope) =>
        FinalNorm().IsMatch(scope) ? "model.norm" : AttentionStep().Replace(scope, "$1/self_attn").Replace('/', '.');

    // Node names may be lost; values are called 'NODE/output_0', norms '.../input_layernorm/output_0'.
    private static string? PathOf(string value)
    {
        var stem = ValueEnd().Replace(value, "");
        return stem.EndsWith("norm", StringComparison.Ordinal) && stem[0] == '/' ? stem[1..] : ModuleScopes.PathIn(stem);
    }

    // The builder casts at the end, and scales where the architecture does, be it within the embedding's module or behind it.
    // Of the architectures that scale, only Gemma 3 does so within; it is told by norms of its queries.
    private static ModuleOutput Embedding(AuthoredGraph graph, ModuleOutput output)
    {
        var isScaledWithin = graph.Nodes.Any(node => node.Node.Name.Contains("/attn/q_norm/", StringComparison.Ordinal));
        var node = output.Node;
        while (node.OpType == "Cast" || (node.OpType == "Mul" && !isScaledWithin))
        {
            if (node.Inputs.FirstOrDefault(graph.IsActivation) is not { } source || graph.Producer(source) is not { } before)
                break;
            node = before;
        }
        return new ModuleOutput(output.Scope, node, 0);
    }

    // The product with its bias, without the scale, cap or split that follows.
    private static ModuleOutput Projection(AuthoredGraph graph, ModuleOutput output)
    {
        var product = Projections.Of(graph, output.Value) ?? graph.Nodes.FirstOrDefault(node => Projections.Is(graph, node) && ModuleScopes.PathIn(node.Node.Name) == output.Scope);
        if (product is null)
            return output;
        var bias = graph.Consumers(product.Outputs[0]).FirstOrDefault(reader => reader.OpType == "Add" && reader.Inputs.Any(input => graph.Graph.Initializer(input) is not null));
        return new ModuleOutput(output.Scope, bias ?? product, 0);
    }

    // Query, key and value heads lie one after the other, whole, or in the outputs of a Split; the attention node knows how many of each.
    private static void AddPacked(SiteBuilder builder, AuthoredGraph graph, string scope, ModuleOutput output)
    {
        var attention = NameOf(scope[..scope.LastIndexOf('/')]);
        string[] parts = ["q_proj", "k_proj", "v_proj"];
        if (output.Node is { OpType: "Split", Outputs.Length: 3 } split)
        {
            foreach (var (i, part) in parts.Index())
                builder.Add($"{attention}.{part}", split.Node, i, $"structure: output {i} of the split of the packed projection '/{scope}'", Confidence.Certain);
            return;
        }
        if (graph.Consumers(output.Value).FirstOrDefault(reader => reader.OpType is "GroupQueryAttention" or "MultiHeadAttention" or "Attention") is not { } reader || graph.Facts[output.Value].LastDim is not { } width)
            return;
        var heads = reader.Node.Attribute("num_heads")?.Int ?? 0;
        var groups = reader.Node.Attribute("kv_num_heads")?.Int ?? heads;
        if (heads <= 0 || groups <= 0 || width % (heads + 2 * groups) != 0)
            return;
        var head = width / (heads + 2 * groups);
        var start = 0;
        foreach (var (part, size) in parts.Zip([heads * head, groups * head, groups * head]))
        {
            var range = new AxisRange(start, start += (int)size);
            builder.Add($"{attention}.{part}", output.Node.Node, output.Output,
                $"structure: part {range} of the packed projection '{output.Node.Node.Label}', {heads} query and {groups} key-value heads of {head}", Confidence.Certain, range);
        }
    }

    [GeneratedRegex(@"^/model/layers\.\d+/attn/(GroupQueryAttention|MultiHeadAttention|Attention)$")]
    private static partial Regex AttentionName();

    [GeneratedRegex(@"^model/layers\.\d+/final_norm_layernorm$")]
    private static partial Regex FinalNorm();

    [GeneratedRegex(@"^(model/layers\.\d+)/attn(?=/|$)")]
    private static partial Regex AttentionStep();

    [GeneratedRegex(@"/output_\d+$")]
    private static partial Regex ValueEnd();
}
