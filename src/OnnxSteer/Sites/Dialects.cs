using System.Collections.Immutable;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>How one exporter names things.</summary>
/// <param name="Name">The dialect's name.</param>
/// <param name="Recognise">What speaks for a model being written in it, or null.</param>
/// <param name="Sites">The sites of such a model, in execution order.</param>
internal sealed record Dialect(string Name, Func<Model, string?> Recognise, Func<Model, ImmutableArray<Site>> Sites);

/// <summary>The dialects there are; the first that recognises a model reads it.</summary>
internal static class Dialects
{
    public static ImmutableArray<Dialect> All { get; } =
        [DiffusersDialect.Instance, GenaiDialect.Instance, DynamoDialect.Instance, TorchScriptDialect.Instance, StructureDialect.Instance];
}
