using System.Text.RegularExpressions;

namespace OnnxSteer;

/// <summary>A value that is made inside a module and read outside of it.</summary>
/// <param name="Scope">The module it is made in, with slashes between modules; it may lie deep inside the one that gives the value out.</param>
/// <param name="Node">The node that makes it.</param>
/// <param name="Output">Which of the node's outputs it is; of a fused skip norm maybe the sum that the file leaves out.</param>
internal sealed record Export(string Scope, AuthoredNode Node, int Output)
{
    public string? Value => Node.Output(Output);

    public Hook Hook => SkipNorm.Is(Node.Node) && Output == SkipNorm.SumOutput(Node.Node) ? Value is null ? Hook.Absent : Hook.Unfuse : Hook.After;
}

/// <summary>
/// All that each module of a graph gives out: every value made inside that something outside reads. Copies of a value in
/// another type or layout, which converters and optimizers put in, count as the value; the sum inside a fused skip norm
/// counts as made where the exporter added.
/// </summary>
internal sealed partial class ModuleExports
{
    private const int MaxSteps = 64;

    private readonly Func<AuthoredNode, int, string?> _pathOf;
    private readonly Dictionary<(AuthoredNode, int), string> _scopes = [];
    private readonly Dictionary<string, List<Export>> _exports = [];
    private readonly HashSet<string> _modules = [];

    /// <param name="source">The graph.</param>
    /// <param name="pathOf">The module that an output of a node is made in, as names or metadata tell it, or null.</param>
    public ModuleExports(AuthoredGraph source, Func<AuthoredNode, int, string?> pathOf)
    {
        (Source, _pathOf) = (source, pathOf);
        foreach (var node in source.Nodes)
            foreach (var output in OutputsOf(node))
                if (!IsCopy(node) && FindScope(node, output) is { Length: > 0 } scope)
                    _scopes[(node, output)] = scope;
        foreach (var (node, output) in _scopes.Keys.OrderBy(key => key.Item1.Order).ThenBy(key => key.Item2))
            AddExports(node, output);
    }

    public AuthoredGraph Source { get; }

    /// <summary>The modules that give anything out.</summary>
    public IEnumerable<string> Modules => _exports.Keys;

    /// <summary>What a module gives out, in execution order; at least one.</summary>
    public IReadOnlyList<Export> Of(string module) => _exports[module];

    /// <summary>Whether anything is made in a module, or in a part of it.</summary>
    public bool Has(string module) => _modules.Contains(module);

    /// <summary>Whether a module has parts.</summary>
    public bool HasParts(string module) => _modules.Any(other => other.Length > module.Length && IsWithin(other, module));

    /// <summary>The module a value is made in, or null.</summary>
    public string? ScopeOf(string value) => Origin(value) is { } node ? _scopes.GetValueOrDefault((node, node.Outputs.IndexOf(Original(value)))) : null;

    /// <summary>The node that makes a value, or of a copy that which it is a copy of; null for what no node makes.</summary>
    public AuthoredNode? Origin(string value) => Source.Producer(Original(value));

    public static bool IsWithin(string scope, string module) =>
        scope.StartsWith(module, StringComparison.Ordinal) && (scope.Length == module.Length || scope[module.Length] == '/');

    public static string Parent(string scope) => scope.LastIndexOf('/') is > 0 and var end ? scope[..end] : "";

    // Exporters name a node after its module and operator, others do not.
    private bool IsCopy(AuthoredNode node) =>
        node.OpType is "Cast" or "Transpose" or "Identity" && node.Node.Metadata.IsEmpty
        && !(OperatorName().Match(node.Node.Name) is { Success: true } name && name.Groups["op"].Value == node.OpType);

    private string Original(string value)
    {
        for (var steps = 0; steps < MaxSteps && Source.Producer(value) is { } node && IsCopy(node) && node.Input(0) is { } source; steps++)
            value = source;
        return value;
    }

    private IEnumerable<int> OutputsOf(AuthoredNode node)
    {
        var sum = SkipNorm.Is(node.Node) ? SkipNorm.SumOutput(node.Node) : -1;
        return Enumerable.Range(0, Math.Max(node.Outputs.Length, sum + 1))
            .Where(output => node.Output(output) is { } value ? Source.IsActivation(value) : output == sum && node.Output(0) is { } norm && Source.IsActivation(norm));
    }

    private string? FindScope(AuthoredNode node, int output)
    {
        if (node.Output(output) is { } value && (_pathOf(node, output) ?? PathOfCopies(value, 0)) is { } path)
        {
            _modules.Add(path);
            for (var module = Parent(path); module.Length > 0 && _modules.Add(module); module = Parent(module))
            {
            }
            return path;
        }
        // What is added to the residual stream is added by the module around the one that made it last.
        return SkipNorm.Is(node.Node) && output == SkipNorm.SumOutput(node.Node)
            ? SkipNorm.Summands(node.Node).Select(index => node.Input(index)).OfType<string>().Select(name => (Name: name, Order: Origin(name)?.Order ?? -1)).MaxBy(summand => summand.Order) is { Order: >= 0 } last
                && ScopeOf(last.Name) is { } scope ? Parent(scope) : null
            : null;
    }

    private string? PathOfCopies(string value, int steps) =>
        steps >= MaxSteps ? null
        : Source.Consumers(value).Where(IsCopy).Select(copy => _pathOf(copy, 0) ?? PathOfCopies(copy.Outputs[0], steps + 1)).FirstOrDefault(path => path is not null);

    private void AddExports(AuthoredNode node, int output)
    {
        var scope = _scopes[(node, output)];
        var readers = node.Output(output) is { } value ? Readers(value, 0).ToList() : [];
        if (SkipNorm.Is(node.Node) && output == SkipNorm.SumOutput(node.Node))
            readers.Add(_scopes.GetValueOrDefault((node, 0), ""));
        for (var module = scope; module.Length > 0; module = Parent(module))
            if (readers.Exists(reader => !IsWithin(reader, module)))
            {
                if (!_exports.TryGetValue(module, out var exports))
                    _exports[module] = exports = [];
                exports.Add(new Export(scope, node, output));
            }
    }

    // The modules that read a value. The graph's outputs lie outside of all.
    private IEnumerable<string> Readers(string value, int steps) =>
        Source.Consumers(value).SelectMany(reader => steps < MaxSteps && IsCopy(reader) ? Readers(reader.Outputs[0], steps + 1) : [ReaderScope(reader, value)])
            .Concat(Source.IsOutput(value) ? [""] : []);

    private string ReaderScope(AuthoredNode reader, string value)
    {
        if (SkipNorm.Is(reader.Node) && SkipNorm.Summands(reader.Node).Any(index => reader.Input(index) == value))
            return _scopes.GetValueOrDefault((reader, SkipNorm.SumOutput(reader.Node)), "");
        return Enumerable.Range(0, reader.Outputs.Length).Select(output => _scopes.GetValueOrDefault((reader, output)) ?? (reader.Output(output) is null ? null : _pathOf(reader, output)))
            .FirstOrDefault(scope => scope is { Length: > 0 }) ?? "";
    }

    [GeneratedRegex(@"^/(?:.*/)?(?<op>[A-Za-z]+)(?:_\d+)?$")]
    private static partial Regex OperatorName();
}
