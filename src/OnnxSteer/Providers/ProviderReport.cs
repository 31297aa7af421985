using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>A node that an execution provider has no kernel for, so that it runs on the CPU and its values travel there and back.</summary>
/// <param name="Graph">Path of its graph.</param>
/// <param name="Node">Its name, or <c>#index</c>.</param>
/// <param name="Operator">Its operator, with the domain where that is not ONNX's own.</param>
/// <param name="IsInserted">Whether a patch inserted it.</param>
/// <param name="Reason">What is missing.</param>
public sealed record MissingKernel(string Graph, string Node, string Operator, bool IsInserted, string Reason);

/// <summary>
/// What can be said without a device of how a model runs on one: the nodes without a kernel, and whether what patches
/// inserted can overflow float16.
/// </summary>
/// <param name="Provider">The execution provider.</param>
/// <param name="Nodes">How many nodes were looked at, bodies included.</param>
/// <param name="Untyped">How many of them read a value of unknown element type; for those the operator and opset alone were checked.</param>
/// <param name="Missing">The nodes without a kernel, in file order.</param>
/// <param name="Float16">Bounds of the inserted float16 arithmetic; null where there is none.</param>
public sealed record ProviderReport(Provider Provider, int Nodes, int Untyped, ImmutableArray<MissingKernel> Missing, Float16Bounds? Float16)
{
    /// <summary>Whether every node that a patch inserted has a kernel, and a bound where it makes float16.</summary>
    public bool InsertedAreClean => Missing.All(node => !node.IsInserted) && Float16 is null or { Unproved.IsEmpty: true };

    /// <summary>Checks a model against a provider's kernel table.</summary>
    public static ProviderReport Of(Model model, Provider provider)
    {
        var table = KernelTable.Of(provider);
        var functions = model.Functions.Select(function => function.Path).ToHashSet();
        var missing = ImmutableArray.CreateBuilder<MissingKernel>();
        var (nodes, untyped) = (0, 0);
        foreach (var graph in model.Graphs)
        {
            var known = FactTable.Of(graph);
            foreach (var node in graph.Nodes)
            {
                // A model's own functions are expanded into their bodies, whose nodes are looked at themselves.
                // Neither has a Constant a kernel of its own: it becomes an initializer.
                if (node.Is("Constant") || functions.Contains($"function/{node.Domain}:{node.OpType}"))
                    continue;
                nodes++;
                if (node.Inputs.Any(name => name.Length > 0 && known[name].DataType == DataType.Undefined))
                    untyped++;
                if (table.Missing(node, value => known[value].DataType) is { } reason)
                    missing.Add(new MissingKernel(graph.Path, node.Label, node.Domain.Length == 0 ? node.OpType : $"{node.Domain}.{node.OpType}", Names.IsInserted(node), reason));
            }
        }
        return new ProviderReport(provider, nodes, untyped, missing.ToImmutable(), Float16Bounds.Of(model));
    }
}
