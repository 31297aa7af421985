using System.Collections.Immutable;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Denoisers of the diffusers library, whatever exported or optimized them: UNets, and the transformers of Stable Diffusion 3
/// and Flux. Modules are told by the paths in values' names, nodes' names or metadata. A module that returns a tuple has a site
/// <c>PATH:i</c> for each element that something uses.
/// </summary>
internal static partial class DiffusersDialect
{
    public static Dialect Instance { get; } = new("diffusers", Recognise, model => Sites(AuthoredGraph.Of(model.Graph)));

    private static string? Recognise(Model model)
    {
        // Language models have blocks too, but no lists of such names.
        var told = model.Graph.Nodes.Count(node => ListName().IsMatch(node.Name) || node.Outputs.Any(ListName().IsMatch) || node.Metadata.Any(entry => ListName().IsMatch(entry.Value)));
        return told > 0 ? $"{told} of {model.Graph.Nodes.Length} nodes tell paths of diffusers' modules ({By(model)}); producer '{model.Producer}'{Fused(model)}" : null;
    }

    // Such a norm's own output is nowhere: what the node gives out is the activation's, and a site of that.
    private static string Fused(Model model)
    {
        var fused = model.Graph.Nodes.Count(node => node.OpType is "GroupNorm" or "SkipGroupNorm" && node.Attribute("activation")?.Int == 1);
        return fused == 0 ? "" : $"; {fused} group norms compute their SiLU inside and have no output of their own, so they are no sites; 'nonlinearity' and 'conv_act' are what they give out";
    }

    private static string By(Model model) =>
        DynamoDialect.Instance.Recognise(model) is not null ? "in metadata"
        : model.Graph.Nodes.Any(node => node.OpType is "GroupNorm" or "SkipGroupNorm" or "NhwcConv" or "BiasSplitGelu") ? "in names of values, behind ONNX Runtime's optimizer for UNets"
        : "in names of nodes and values";

    private static ImmutableArray<Site> Sites(AuthoredGraph graph)
    {
        var exports = new ModuleExports(graph, PathOf);
        var builder = new SiteBuilder(graph);
        foreach (var module in exports.Modules)
        {
            var name = module.Replace('/', '.');
            foreach (var (element, export, evidence) in ElementsOf(exports, module))
            {
                var by = $"name: {evidence} of module path '{module}'" + (export.Hook == Hook.After ? "" : $"; structure: the sum inside the fused skip norm '{export.Node.Node.Label}'");
                if (export.Value is { } value && exports.CopiesOf(value).ToList() is { Count: > 0 } copies)
                    by += $"; copied in another layout or type to {string.Join(", ", copies.Select(copy => $"'{copy}'"))}";
                builder.Add(name + element, export.Node.Node, export.Output, by, Confidence.Certain, hook: export.Hook);
            }
        }
        return builder.Build(null);
    }

    private static IEnumerable<(string Element, Export Export, string Evidence)> ElementsOf(ModuleExports exports, string module)
    {
        var all = exports.Of(module);
        var last = ("", all[^1], "the last value that is read outside");
        // UNet2DConditionModel's down blocks return what goes on and what is skipped over; Transformer2DModel returns a tuple of one.
        if (DownBlock().IsMatch(module) || (AttentionBlock().IsMatch(module) && exports.Has($"{module}/transformer_blocks.0")))
            return [last with { Item1 = ":0" }];
        var own = all.Where(export => export.Scope == module).ToList();
        if (AdaptiveNorm.Of(exports, module, own) is { } norm)
            return norm;
        if (IsJointAttention(exports, module))
            return JointAttention(all, module);
        if (exports.Has($"{module}/attn/add_q_proj"))
            return own.Select(export => (IsContext(exports, module, export) ? ":0" : ":1", export, "the stream's value that is read outside"));
        if (own.Count > 0 && own.TrueForAll(export => IsTokenSlice(exports, export)))
            return own.Select(export => (StartsAtZero(exports, export) ? ":0" : ":1", export, "the slice of tokens that is read outside"));
        if (own.Count > 1 && own.Count == all.Count && !exports.HasParts(module))
            return own.Select((export, call) => (call == 0 ? "" : $"_{call}", export, $"call {call + 1}, the value that is read outside"));
        return [last];
    }

    // Queries, keys and values of both streams: it returns what goes to the image, then what goes to the text.
    private static bool IsJointAttention(ModuleExports exports, string module) => exports.Has($"{module}/add_q_proj");

    private static IEnumerable<(string, Export, string)> JointAttention(IReadOnlyList<Export> all, string module)
    {
        var texts = all.Where(export => ModuleExports.IsWithin(export.Scope, $"{module}/to_add_out")).ToList();
        if (all.Except(texts).LastOrDefault() is { } image)
            yield return (":0", image, "the image stream's last value");
        if (texts.LastOrDefault() is { } text)
            yield return (":1", text, "the text stream's last value");
    }

    // A block of two streams returns the text's, then the image's. The text's is made by modules of that name.
    private static bool IsContext(ModuleExports exports, string module, Export export) =>
        Before(exports, export, scope => scope == module).Any(scope => scope.Contains("_context", StringComparison.Ordinal) || scope.EndsWith("/to_add_out", StringComparison.Ordinal));

    /// <summary>The modules whose values go into one, directly or through other values of modules that <paramref name="isThrough"/> names.</summary>
    private static HashSet<string> Before(ModuleExports exports, Export export, Func<string, bool> isThrough)
    {
        var (scopes, seen, open) = (new HashSet<string>(), new HashSet<string>(), new Stack<AuthoredNode>([export.Node]));
        while (open.TryPop(out var node))
            foreach (var input in node.Inputs.Where(input => input.Length > 0 && seen.Add(input) && exports.Source.IsActivation(input)))
                if (exports.ScopeOf(input) is not { } scope)
                    continue;
                else if (isThrough(scope))
                    open.Push(exports.Origin(input)!);
                else
                    scopes.Add(scope);
        return scopes;
    }

    // Flux' single blocks work on text and image side by side, and part them at the end.
    private static bool IsTokenSlice(ModuleExports exports, Export export) =>
        export.Node.OpType == "Slice" && export.Value is { } value && exports.Source.Facts[value].Rank == 3
        && (export.Node.Node.Attribute("axes")?.Ints is [1] || (export.Node.Input(3) is { } axes && exports.Source.Facts.Integer(axes) == 1));

    private static bool StartsAtZero(ModuleExports exports, Export export) =>
        export.Node.Node.Attribute("starts")?.Ints is [0] || (export.Node.Input(1) is { } start && exports.Source.Facts.Integer(start) == 0);

    // Metadata first: nodes of the dynamo exporter bear numbers for names.
    private static string? PathOf(AuthoredNode node, int output) =>
        DynamoDialect.ScopeOf(node.Node) is { Length: > 0 } scope ? scope : PathIn(node.Outputs[output]) ?? PathIn(node.Node.Name);

    // Optimizers put something before a path ('NhwcConv_0_out-/conv_in/Conv_output_0').
    private static string? PathIn(string name)
    {
        var start = name.IndexOf('/', StringComparison.Ordinal);
        return start == 0 || (start > 0 && name[start - 1] == '-') ? ModuleScopes.PathIn(name[start..]) : null;
    }

    [GeneratedRegex(@"\b(resnets|transformer_blocks)\.\d+\b")]
    private static partial Regex ListName();

    [GeneratedRegex(@"^down_blocks\.\d+$")]
    private static partial Regex DownBlock();

    [GeneratedRegex(@"(^|/)attentions\.\d+$")]
    private static partial Regex AttentionBlock();
}
