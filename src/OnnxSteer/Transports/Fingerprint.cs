namespace OnnxSteer;

/// <summary>Three digests that bind activations and maps to the model they come from.</summary>
/// <param name="Places">Of the sites and their channels.</param>
/// <param name="Graph">Of the graph's structure.</param>
/// <param name="Weights">Of the weights: names, types, shapes and samples of their bytes.</param>
public sealed record Fingerprint(string Places, string Graph, string Weights);
