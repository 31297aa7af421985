using System.Collections.Immutable;

namespace OnnxSteer;

/// <summary>A vector that is added to the activations of one place, as a file holds it.</summary>
/// <param name="Name">What the file calls it, for messages; the site's name where there is no layer.</param>
/// <param name="Layer">The block's number, from 0 on; null where the name is a site's.</param>
/// <param name="Values"><c>[channels]</c>.</param>
internal sealed record LayerVector(string Name, int? Layer, ImmutableArray<float> Values);

/// <summary>The vectors of a file.</summary>
/// <param name="Vectors">At least one; no layer twice.</param>
/// <param name="Module">The module within each block whose output is meant, as <c>mlp</c>; null for the block itself.</param>
/// <param name="Hint">What the file says of the model it was made for; null where it says nothing.</param>
/// <param name="IsMatrix">Whether the vectors are the rows of one matrix, which then has one for each block.</param>
internal sealed record LayerVectors(ImmutableArray<LayerVector> Vectors, string? Module = null, string? Hint = null, bool IsMatrix = false);
