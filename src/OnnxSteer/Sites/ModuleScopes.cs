using OnnxSteer.Onnx;

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
    // More modules than any lies within.
    private const int MaxDepth = 64;

    private const int MaxSteps = 16;

    private readonly Func<AuthoredNode, int, string?> _pathOf;
    private readonly Dictionary<string, Module> _modules = [];

    // By node: the module of its first output, and whether quantizers and casts serve what reads them.
    private readonly Module?[] _scopes;
    private readonly bool[] _isSeenThrough;
    private readonly List<Module> _giving = [];

    private ModuleScopes(AuthoredGraph source, Func<AuthoredNode, int, string?> pathOf)
    {
        (Source, _pathOf) = (source, pathOf);
        (_scopes, _isSeenThrough) = (new Module?[source.Nodes.Length], new bool[source.Nodes.Length]);
        foreach (var node in source.Nodes)
        {
            _scopes[node.Order] = FindModule(node, 0);
            _isSeenThrough[node.Order] = node.OpType is "QuantizeLinear" or "DynamicQuantizeLinear" || (node.OpType is "Cast" or "Identity" && PathOfOutput(node, 0) is null);
        }
        foreach (var node in source.Nodes)
            for (var i = 0; i < node.Outputs.Length && !_isSeenThrough[node.Order]; i++)
                if (node.Output(i) is { } value && source.IsActivation(value) && ModuleOf(node, i) is { } module)
                    Add(module, node, i);
    }

    public AuthoredGraph Source { get; }

    /// <summary>What modules give out, in execution order.</summary>
    public IEnumerable<ModuleOutput> Outputs => _giving.Select(module => module.Output!.Value).OrderBy(output => output.Node.Order);

    /// <summary>As <see cref="Outputs"/>, but of values made in the module itself, for readers not in it itself: parts of a module are not it.</summary>
    public ModuleOutput? Own(string scope) => _modules.GetValueOrDefault(scope)?.Own;

    /// <summary>Finds the modules of a graph.</summary>
    /// <param name="source">The graph.</param>
    /// <param name="scopeOf">The module that an output of a node is made in, or null; by default the path in the value's or node's name.</param>
    public static ModuleScopes Of(AuthoredGraph source, Func<AuthoredNode, int, string?>? scopeOf = null) => new(source, scopeOf ?? PathOf);

    /// <summary>The module a value is made in, or null.</summary>
    public string? ScopeOf(string value) => Source.Producer(value) is { } node ? ModuleOf(node, node.Outputs.IndexOf(value))?.Path : null;

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

    private string? PathOfOutput(AuthoredNode node, int output) =>
        output < node.Outputs.Length && _pathOf(node, output) is { Length: > 0 } path && path.AsSpan().Count('/') < MaxDepth ? path : null;

    private Module? ModuleOf(AuthoredNode node, int output) => output == 0 ? _scopes[node.Order] : FindModule(node, output);

    // Nodes of quantizers belong to what they quantize.
    private Module? FindModule(AuthoredNode node, int output)
    {
        for (var steps = 0; steps < MaxSteps; steps++)
        {
            if (PathOfOutput(node, output) is { } path)
                return Known(path);
            if (node.OpType is not ("QuantizeLinear" or "DequantizeLinear" or "Cast" or "Identity" or "DynamicQuantizeLinear")
                || node.Input(0) is not { } source || Source.Producer(source) is not { } producer)
                return null;
            (node, output) = (producer, producer.Outputs.IndexOf(source));
        }
        return null;
    }

    private Module Known(string path)
    {
        if (_modules.TryGetValue(path, out var module))
            return module;
        var around = path.LastIndexOf('/') is > 0 and var end ? Known(path[..end]) : null;
        return _modules[path] = new Module(path, around);
    }

    // A module gives a value out that is read by a node which lies not within it.
    private void Add(Module scope, AuthoredNode node, int output)
    {
        var (shared, isRead) = (int.MaxValue, false);
        Read(node.Outputs[output], 0);
        if (isRead)
            scope.Own = new ModuleOutput(scope.Path, node, output);
        for (var module = scope; module is not null && module.Depth > shared; module = module.Around)
        {
            if (module.Output is null)
                _giving.Add(module);
            module.Output = new ModuleOutput(module.Path, node, output);
        }

        // The graph's outputs lie outside of all.
        void Read(string value, int steps)
        {
            foreach (var reader in Source.Consumers(value))
                if (steps < MaxSteps && _isSeenThrough[reader.Order])
                    Read(reader.Outputs[0], steps + 1);
                else
                    By(_scopes[reader.Order]);
            if (Source.IsOutput(value))
                By(null);
        }

        void By(Module? reader) => (shared, isRead) = (Math.Min(shared, Module.Shared(scope, reader)), isRead || reader != scope);
    }

    /// <summary>A module, and the one it is a part of; null for an outermost one.</summary>
    private sealed class Module(string path, Module? around)
    {
        public string Path { get; } = path;

        public Module? Around { get; } = around;

        /// <summary>How many modules the path goes through.</summary>
        public int Depth { get; } = 1 + (around?.Depth ?? 0);

        public ModuleOutput? Output { get; set; }

        public ModuleOutput? Own { get; set; }

        /// <summary>The depth of the innermost module that both lie within; 0 for none.</summary>
        public static int Shared(Module? a, Module? b)
        {
            while (a != b)
                (a, b) = (a?.Depth ?? 0) >= (b?.Depth ?? 0) ? (a!.Around, b) : (a, b!.Around);
            return a?.Depth ?? 0;
        }
    }
}
