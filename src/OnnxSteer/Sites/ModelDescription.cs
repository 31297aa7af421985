using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>What a person wants to know of a model before steering it.</summary>
/// <param name="Table">Its dialect and sites.</param>
/// <param name="Precision">How the weights are stored: <c>float32</c>, <c>float16</c>, <c>int4</c>, <c>int8</c>, ...</param>
/// <param name="Parameters">Elements of all weights.</param>
/// <param name="Fingerprint">Its digests, as it is.</param>
/// <param name="Signature">What inputs and outputs are for, or null for no language model.</param>
/// <param name="Patches">The maps in it, oldest first.</param>
/// <param name="Notes">What the table does not hold, or holds in an unusual way, and why: a sentence each.</param>
public sealed record ModelDescription(
    SiteTable Table, string Precision, long Parameters, Fingerprint Fingerprint, DecoderSignature? Signature, IReadOnlyList<PatchRecord> Patches, ImmutableArray<string> Notes)
{
    /// <summary>How many sites there are of each kind, in execution order of the first.</summary>
    public IEnumerable<(string Kind, int Count)> Kinds => Table.Sites.GroupBy(site => SiteNotes.KindOf(site.Name)).Select(group => (group.Key, group.Count()));

    /// <summary>Describes a model.</summary>
    public static ModelDescription Of(Model model)
    {
        var table = SiteTable.Of(model);
        return new ModelDescription(table, PrecisionOf(model), ParametersOf(model), Fingerprints.Of(model, table), DecoderSignature.TryOf(model), PatchRecord.All(model), SiteNotes.Of(model, table));
    }

    // Quantized weights are told by the operators that read them, others by the type that most weights have.
    private static string PrecisionOf(Model model)
    {
        var nodes = model.Graphs.SelectMany(graph => graph.Nodes).ToList();
        var bits = nodes.Where(node => node.Is("MatMulNBits")).Select(node => node.Attribute("bits")?.Int ?? 4).ToList();
        if (bits.Count > 0)
            return $"int{bits.GroupBy(count => count).MaxBy(group => group.Count())!.Key}";
        if (nodes.Exists(node => node.OpType is "MatMulInteger" or "QLinearMatMul" or "DynamicQuantizeLinear" or "QuantizeLinear"))
            return "int8";
        return Weights(model).GroupBy(tensor => tensor.DataType).MaxBy(group => group.Sum(tensor => tensor.ElementCount))?.Key.Name() ?? "none";
    }

    private static long ParametersOf(Model model)
    {
        // A packed weight holds eight bits a byte, whatever the bits of one element.
        var packed = model.Graph.Nodes.Where(node => node.Is("MatMulNBits") && node.Inputs.Length > 1)
            .GroupBy(node => node.Inputs[1]).ToDictionary(group => group.Key, group => group.First().Attribute("bits")?.Int ?? 4);
        return Weights(model).Where(tensor => tensor.DataType.IsFloat()).Sum(tensor => tensor.ElementCount)
            + model.Graph.Initializers.Where(tensor => packed.ContainsKey(tensor.Name)).Sum(tensor => tensor.ElementCount * 8 / Math.Max(1, packed[tensor.Name]))
            + Weights(model).Where(tensor => tensor.DataType is DataType.Int8 or DataType.UInt8 && !packed.ContainsKey(tensor.Name)).Sum(tensor => tensor.ElementCount);
    }

    private static ImmutableArray<Tensor> Weights(Model model) => [.. model.Graphs.SelectMany(graph => graph.Initializers).Where(tensor => tensor.ElementCount > 0)];
}
