using System.Collections.Immutable;
using System.Text.RegularExpressions;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>
/// Graphs whose names tell nothing: the residual stream is found by dataflow, and what hangs on it is called as in Llama
/// (<c>model.layers.0.self_attn.o_proj</c>), or by its parameters where these still bear a module's path.
/// </summary>
internal static partial class StructureDialect
{
    public static Dialect Instance { get; } = new("structure", Recognise, model => LanguageSites.OfGraphs(model, Sites));

    private static string? Recognise(Model model)
    {
        var sums = AuthoredGraph.All(model).Select(ResidualStream.Of).Where(stream => stream.Length > 1).Select(stream => stream.Length).ToList();
        return sums.Count == 0 ? null : $"no exporter's names; the residual stream was found by dataflow ({string.Join(" and ", sums)} sums); modules are named as in Llama, or by their parameters";
    }

    private static ImmutableArray<Site> Sites(AuthoredGraph graph)
    {
        var stream = ResidualStream.Of(graph);
        if (stream.Length < 2)
            return [];
        var reader = new StreamReader(graph, stream);
        reader.Read();
        return reader.Builder.Build("model.");
    }

    [GeneratedRegex(@"^(?<module>((?<block>(?:[A-Za-z_]\w*\.)*?\d+)\.)?[A-Za-z_][\w.]*?)(?:\.MatMul|\.Add|\.layernorm)?\.(?:weight|bias|qweight)\w*$", RegexOptions.ExplicitCapture)]
    private static partial Regex ParameterName();

    private sealed class StreamReader(AuthoredGraph graph, ImmutableArray<StreamSum> stream)
    {
        private readonly Dictionary<AuthoredNode, AttentionHeads> _heads = [];
        private readonly HashSet<AuthoredNode> _outputs = [];

        public SiteBuilder Builder { get; } = new(graph);

        public void Read()
        {
            foreach (var heads in AttentionHeads.Of(graph, node => _outputs.Add(node)))
                _outputs.Add((_heads[heads.Projection] = heads).Projection);
            Embedding();
            var branches = stream.Select(BranchOf).ToList();
            // A block begins with each attention.
            var hasAttention = branches.Exists(branch => branch.Attention is not null);
            var starts = Enumerable.Range(0, stream.Length).Where(i => i == 0 || !hasAttention || branches[i].Attention is not null).Append(stream.Length).ToList();
            foreach (var (number, (start, end)) in starts.Zip(starts.Skip(1)).Index())
                Block(number, stream[start..end], branches[start..end]);
            Head();
        }

        private void Block(int number, ImmutableArray<StreamSum> sums, List<Branch> branches)
        {
            var parameters = branches.SelectMany(branch => branch.Nodes).SelectMany(node => node.Inputs).Select(input => ParameterName().Match(input)).FirstOrDefault(match => match.Groups["block"].Success);
            var path = parameters?.Groups["block"].Value ?? $"model.layers.{number}";
            const string how = "structure: a sum on the residual stream";
            Sum(sums[^1], path, how);
            if (sums.Length > 1)
                Sum(sums[0], $"{path}.residual_mid", how);
            var hasPostNorms = branches.Exists(branch => branch.Last is { } last && Projections.Of(graph, branch.Sum.Branch) != last && branch.MlpOutput is null != branch.Attention is null);
            foreach (var branch in branches)
            {
                if (branch.Attention is { } attention)
                    Attention(branch, attention, path, hasPostNorms);
                if (branch.MlpOutput is { } down)
                    Mlp(branch, down, path, branch.Attention is null, hasPostNorms);
            }
        }

        private void Attention(Branch branch, AuthoredNode output, string path, bool hasPostNorms)
        {
            Project($"{path}.self_attn.o_proj", output, $"{path}.self_attn");
            if (_heads.TryGetValue(output, out var heads))
                LanguageSites.AddHeads(Builder, graph, heads, NameOf(output, $"{path}.self_attn.o_proj") is var name ? name[..name.LastIndexOf('.')] : path, Confidence.Inferred);
            if (hasPostNorms && Projections.Of(graph, branch.Sum.Branch) is null)
                Value($"{path}.post_attention_layernorm", branch.Sum.Branch, "structure: the norm between attention and the residual stream");
            var inputs = branch.Projections.Where(node => node != output && branch.LeadsToAttention.Contains(node)).ToList();
            Norm($"{path}.input_layernorm", inputs);
            string[] parts = inputs.Count switch { 1 => ["qkv_proj"], 3 => ["q_proj", "k_proj", "v_proj"], _ => [] };
            foreach (var (part, node) in parts.Zip(inputs.Count == 3 ? Ordered(output, inputs) : inputs))
                Project($"{path}.self_attn.{part}", node);
        }

        private void Mlp(Branch branch, AuthoredNode down, string path, bool hasOwnNorm, bool hasPostNorms)
        {
            Project($"{path}.mlp.down_proj", down, $"{path}.mlp");
            if (hasPostNorms && Projections.Of(graph, branch.Sum.Branch) is null)
                Value($"{path}.post_feedforward_layernorm", branch.Sum.Branch, "structure: the norm between MLP and the residual stream");
            var inputs = branch.Projections.Where(node => node != down && !branch.LeadsToAttention.Contains(node) && !_outputs.Contains(node)).ToList();
            if (hasOwnNorm)
                Norm(hasPostNorms ? $"{path}.pre_feedforward_layernorm" : $"{path}.post_attention_layernorm", inputs.Count > 0 ? inputs : [down]);
            if (inputs.Count == 1)
                Project($"{path}.mlp.up_proj", inputs[0]);
            if (inputs.Count != 2)
                return;
            // The one without an activation before the product is 'up'.
            var product = graph.Producer(graph.Source(Projections.Data(graph, down)));
            var up = product?.Inputs.Select(input => Projections.Of(graph, input)).FirstOrDefault(node => node is not null && inputs.Contains(node));
            foreach (var node in up is null ? [] : inputs)
                Project(node == up ? $"{path}.mlp.up_proj" : $"{path}.mlp.gate_proj", node);
            if (up is not null && product!.Inputs.FirstOrDefault(input => Projections.Of(graph, input) != up) is { } activated)
                Value($"{path}.mlp.act_fn", activated, "structure: what the gate's activation gives");
        }

        // Weights and values meet in the last product, queries and keys in the one before the softmax.
        private List<AuthoredNode> Ordered(AuthoredNode output, List<AuthoredNode> inputs)
        {
            var core = Back(Projections.Data(graph, output), node => node.OpType is "GroupQueryAttention" or "MultiHeadAttention" or "Attention" || IsProduct(node));
            string?[] values = [core?.Input(0), core?.Input(1), core?.Input(2)];
            if (core is not null && IsProduct(core) && Back(core.Inputs[0], IsProduct) is { } scores)
                values = [scores.Inputs[0], scores.Inputs[1], core.Inputs[1]];
            var found = values.Select(value => value is null ? null : Back(value, inputs.Contains)).OfType<AuthoredNode>().Distinct().ToList();
            return found.Count == 3 ? found : [];

            bool IsProduct(AuthoredNode node) => node.OpType is "MatMul" or "FusedMatMul" && node.Inputs.Count(graph.IsContent) > 1;
        }

        private void Embedding()
        {
            if (Back(stream[0].Before, node => node.OpType is "Gather" or "GatherBlockQuantized", inclusive: true) is { } table)
                Value("model.embed_tokens", table.Outputs[0], "structure: the table that the residual stream begins with");
        }

        private void Head()
        {
            foreach (var output in graph.Graph.Outputs.Where(output => graph.IsActivation(output.Name)))
                if (Back(output.Name, node => Projections.Is(graph, node)) is { } head && stream[^1].Node.Order <= head.Order && !stream.Any(sum => sum.Node.Order > head.Order))
                {
                    Project("lm_head", head);
                    Norm("model.norm", [head]);
                    return;
                }
        }

        private void Sum(StreamSum sum, string name, string evidence) => Builder.Add(name, sum.Node.Node, sum.Output, evidence, Confidence.Inferred,
            hook: !SkipNorm.Is(sum.Node.Node) ? Hook.After : sum.Value is null ? Hook.Absent : Hook.Unfuse);

        private void Value(string name, string value, string evidence)
        {
            if (graph.Producer(value) is { } node)
                Builder.Add(NameOf(node, name), node.Node, node.Outputs.IndexOf(value), evidence, Confidence.Inferred);
        }

        // What projections read, before casts and reshapes; no site where that is the stream itself.
        private void Norm(string name, List<AuthoredNode> projections)
        {
            if (projections.Count == 0)
                return;
            var value = Projections.Data(graph, projections[0]);
            while (graph.Producer(value) is { OpType: "Cast" or "Identity" or "Reshape" or "Squeeze" or "Unsqueeze" } view)
                value = view.Inputs[0];
            if (stream.All(sum => sum.Value != value && graph.Source(sum.Before) != value))
                Value(name, value, $"structure: what '{projections[0].Node.Label}' projects");
        }

        // A projection's result with its bias and scales.
        private void Project(string name, AuthoredNode projection, params string[] aliases)
        {
            var value = projection.Outputs[0];
            for (var next = Next(value); next is not null && Projections.Of(graph, next) == projection; next = Next(value))
                value = next;
            if (graph.Producer(value) is not { } node)
                return;
            name = NameOf(projection, name);
            foreach (var module in aliases.Length > 0 ? [name, name[..name.LastIndexOf('.')]] : new[] { name })
                Builder.Add(module, node.Node, node.Outputs.IndexOf(value), $"structure: the result of the projection '{projection.Node.Label}'", Confidence.Inferred);

            string? Next(string value) => graph.IsOutput(value) ? null
                : graph.Consumers(value).ToList() is [{ OpType: "Add" or "Mul" or "Reshape" or "Cast" or "QuantizeLinear" or "DequantizeLinear" } only] && stream.All(sum => sum.Node != only) ? only.Outputs[0] : null;
        }

        // A table may be shared with the head, and bear its name.
        private static string NameOf(AuthoredNode node, string name) => node.OpType is "Gather" or "GatherBlockQuantized" ? name
            : node.Inputs.Skip(1).Append(node.Inputs[0]).Select(input => ParameterName().Match(input)).FirstOrDefault(match => match.Success) is { } match ? match.Groups["module"].Value : name;

        // The nearest node before a value that fits.
        private AuthoredNode? Back(string value, Func<AuthoredNode, bool> fits, bool inclusive = false)
        {
            var (seen, queue) = (new HashSet<AuthoredNode>(), new Queue<string>([value]));
            while (queue.TryDequeue(out var name))
            {
                if (graph.Producer(name) is not { } node || !seen.Add(node))
                    continue;
                if (fits(node) && (inclusive || graph.IsActivation(node.Outputs[0]) || !graph.Facts[node.Outputs[0]].DataType.IsFloat()))
                    return node;
                foreach (var input in node.Inputs.Where(graph.IsContent))
                    queue.Enqueue(input);
            }
            return null;
        }

        private Branch BranchOf(StreamSum sum)
        {
            var first = graph.Producer(graph.Source(sum.Before))?.Order ?? -1;
            var nodes = Before([sum.Branch], first);
            var projections = nodes.Where(node => Projections.Is(graph, node)).OrderBy(node => node.Order).ToList();
            var attention = projections.LastOrDefault(_outputs.Contains);
            var before = attention is null ? [] : Before(attention.Inputs.Where(graph.IsContent), first);
            var mlp = projections.LastOrDefault(node => node != attention && !before.Contains(node));
            return new Branch(sum, nodes, projections, before, attention, mlp);
        }

        private HashSet<AuthoredNode> Before(IEnumerable<string> values, int first)
        {
            var (seen, queue) = (new HashSet<AuthoredNode>(), new Queue<string>(values));
            while (queue.TryDequeue(out var name))
                if (graph.Producer(name) is { } node && node.Order > first && seen.Add(node))
                    foreach (var input in node.Inputs.Where(graph.IsContent))
                        queue.Enqueue(input);
            return seen;
        }
    }

    /// <summary>What lies between two points of the residual stream.</summary>
    /// <param name="Sum">The sum that it adds to the stream.</param>
    /// <param name="Nodes">Its nodes.</param>
    /// <param name="Projections">Those that are projections, in execution order.</param>
    /// <param name="LeadsToAttention">Those that attention is made from.</param>
    /// <param name="Attention">The output projection of attention, or null.</param>
    /// <param name="MlpOutput">The last projection that is none of attention's, or null.</param>
    private sealed record Branch(
        StreamSum Sum, HashSet<AuthoredNode> Nodes, List<AuthoredNode> Projections, HashSet<AuthoredNode> LeadsToAttention, AuthoredNode? Attention, AuthoredNode? MlpOutput)
    {
        public AuthoredNode? Last => MlpOutput ?? Attention;
    }
}
