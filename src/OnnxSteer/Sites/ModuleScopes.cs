using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>A value that a module gives out: the output of a node.</summary>
/// <param name="Scope">The module's path, with slashes between modules and none before the first.</param>
/// <param name="Node">The node that makes it.</param>
/// <param name="Output">Which of the node's outputs it is.</param>
internal readonly record struct ModuleOutput(string Scope, AuthoredNode Node, int Output)
{
    public string Value => Node.Outputs[Output];

    public void Deconstruct(out string scope, out Node node) => (scope, node) = (Scope, Node.Node);
}

/// <summary>
/// The modules of a graph whose values bear the path of the module they were made in, and what each gives out: the last
/// value made inside that something outside reads. Values that do not depend on the tokens' content (masks, rotary
/// tables, shapes) are no module's output.
/// </summary>
internal sealed class ModuleScopes
{
    private const int MaxSteps = 16;

    private readonly Func<AuthoredNode, int, string?> _scopeOf;
    private readonly Dictionary<string, ModuleOutput> _outputs = [];
    private readonly Dictionary<string, ModuleOutput> _own = [];

    private ModuleScopes(AuthoredGraph source, Func<AuthoredNode, int, string?> scopeOf) => (Source, _scopeOf) = (source, scopeOf);

    public AuthoredGraph Source { get; }

    public Graph Graph => Source.Graph;

    public FactTable Facts => Source.Facts;

    /// <summary>What modules give out, in execution order.</summary>
    public IEnumerable<ModuleOutput> Outputs => _outputs.Values.OrderBy(output => output.Node.Order);

    /// <summary>As <see cref="Outputs"/>, but of values made in the module itself, for readers not in it itself: parts of a module are not it.</summary>
    public ModuleOutput? Own(string scope) => _own.TryGetValue(scope, out var output) ? output : null;

    public static ModuleScopes Of(Graph graph) => Of(AuthoredGraph.Of(graph));

    /// <summary>Finds the modules of a graph.</summary>
    /// <param name="source">The graph.</param>
    /// <param name="scopeOf">The module that an output of a node is made in, or null; by default the path in the value's or node's name.</param>
    public static ModuleScopes Of(AuthoredGraph source, Func<AuthoredNode, int, string?>? scopeOf = null)
    {
        var scopes = new ModuleScopes(source, scopeOf ?? PathOf);
        foreach (var node in source.Nodes)
            for (var i = 0; i < node.Outputs.Length; i++)
                if (node.Output(i) is { } value && source.IsActivation(value) && !scopes.IsSeenThrough(node) && scopes.ScopeOf(node, i) is { } scope)
                    scopes.Add(new ModuleOutput(scope, node, i));
        return scopes;
    }

    /// <summary>The module an output of a node is made in. Nodes of quantizers belong to what they quantize.</summary>
    public string? ScopeOf(AuthoredNode node, int output)
    {
        for (var steps = 0; steps < MaxSteps; steps++)
        {
            if (_scopeOf(node, output) is { Length: > 0 } scope)
                return scope;
            if (node.OpType is not ("QuantizeLinear" or "DequantizeLinear" or "Cast" or "Identity" or "DynamicQuantizeLinear")
                || node.Input(0) is not { } source || Source.Producer(source) is not { } producer)
                return null;
            (node, output) = (producer, producer.Outputs.IndexOf(source));
        }
        return null;
    }

    /// <summary>The module a value is made in, or null.</summary>
    public string? ScopeOf(string value) => Source.Producer(value) is { } node ? ScopeOf(node, node.Outputs.IndexOf(value)) : null;

    /// <summary>The path in a value's name (<c>/model/norm/Mul_1_output_0</c>), else that in its node's; null where neither has one.</summary>
    public static string? PathOf(AuthoredNode node, int output) => PathIn(node.Outputs[output]) ?? PathIn(node.Node.Name);

    /// <summary>The module in a name that is a path, or null.</summary>
    public static string? PathIn(string name)
    {
        var end = name.TrimEnd('/').LastIndexOf('/');
        return end > 0 && name[0] == '/' ? name[1..end] : null;
    }

    /// <summary>The block that a scope lies in: the path to the first module that is an element of a list (<c>model/layers.3</c>); null outside of all.</summary>
    public static string? BlockOf(string? scope)
    {
        for (var end = 0; scope is not null && end < scope.Length; end++)
        {
            end = scope.IndexOf('/', end) is >= 0 and var slash ? slash : scope.Length;
            if (char.IsAsciiDigit(scope[end - 1]) && scope[..end].TrimEnd("0123456789".ToCharArray()).EndsWith('.'))
                return scope[..end];
        }
        return null;
    }

    private void Add(ModuleOutput output)
    {
        var readers = Readers(output.Value, 0).ToList();
        if (readers.Exists(reader => reader != output.Scope))
            _own[output.Scope] = output;
        for (var module = output.Scope; module.Length > 0; module = Parent(module))
            if (readers.Exists(reader => !IsWithin(reader, module)))
                _outputs[module] = output with { Scope = module };
    }

    // Quantizers serve what reads them, and so do casts that belong to no module. The graph's outputs lie outside of all.
    private IEnumerable<string> Readers(string value, int steps) =>
        Source.Consumers(value).SelectMany(reader => steps < MaxSteps && IsSeenThrough(reader) ? Readers(reader.Outputs[0], steps + 1) : [ScopeOf(reader, 0) ?? ""])
            .Concat(Source.IsOutput(value) ? [""] : []);

    private bool IsSeenThrough(AuthoredNode node) =>
        node.OpType is "QuantizeLinear" or "DynamicQuantizeLinear" || (node.OpType is "Cast" or "Identity" && _scopeOf(node, 0) is not { Length: > 0 });

    private static string Parent(string scope) => scope.LastIndexOf('/') is > 0 and var end ? scope[..end] : "";

    private static bool IsWithin(string scope, string module) =>
        scope.StartsWith(module, StringComparison.Ordinal) && (scope.Length == module.Length || scope[module.Length] == '/');
}
