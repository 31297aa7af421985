using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;

namespace OnnxSteer;

/// <summary>Holds a map's fingerprint against the model it is to go into.</summary>
internal static class Origin
{
    private const string Places = "base.places", GraphKey = "base.graph", Weights = "base.weights";

    /// <summary>The fingerprint of the model as it was before any patch.</summary>
    public static Fingerprint Of(Model model, SiteTable table) =>
        PatchRecord.All(model) is [var first, ..] && first.Properties.TryGetValue(Places, out var places)
            && first.Properties.TryGetValue(GraphKey, out var graph) && first.Properties.TryGetValue(Weights, out var weights)
            ? new Fingerprint(places, graph, weights)
            : Fingerprints.Of(model, table);

    /// <summary>What a patch's record says of the model before it.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Properties(Fingerprint origin) =>
        [new(Places, origin.Places), new(GraphKey, origin.Graph), new(Weights, origin.Weights)];

    /// <summary>Refuses a map that was fitted on another model: neither on the one before patches nor on this.</summary>
    /// <param name="model">The model.</param>
    /// <param name="table">Its sites.</param>
    /// <param name="here">Its fingerprint as it was before any patch.</param>
    /// <param name="fittedOn">What the map was fitted on; null where unknown, which is taken.</param>
    public static void Require(Model model, SiteTable table, Fingerprint here, Fingerprint? fittedOn)
    {
        if (fittedOn is not { } there || there == here || there == Fingerprints.Of(model, table))
            return;
        var what = there.Places != here.Places
            ? "its sites or their channels differ, so it is another architecture"
            : there.Weights != here.Weights && there.Graph != here.Graph
                ? "the sites agree, but graph and weights differ: another export or precision, or other weights of the same architecture"
                : there.Weights != here.Weights ? "sites and graph agree, but the weights differ" : "sites and weights agree, but the graph differs";
        throw new OnnxException($"{model.Source.Name}: the map was fitted on another model: {what} (places {Part(there.Places, here.Places)}, graph {Part(there.Graph, here.Graph)}, weights {Part(there.Weights, here.Weights)}). Fit a map on this model, or use --force if you know that it fits.");
    }

    private static string Part(string there, string here) => there == here ? "equal" : $"{there[..Math.Min(8, there.Length)]} against {here[..Math.Min(8, here.Length)]}";
}
