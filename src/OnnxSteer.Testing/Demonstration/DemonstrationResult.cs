using System.Collections.Immutable;

namespace OnnxSteer.Testing;

/// <summary>What the model writes behind one opening at each strength.</summary>
/// <param name="Opening">The text given.</param>
/// <param name="Continuations">The text made at each of the strengths.</param>
public sealed record SideBySide(string Opening, ImmutableArray<string> Continuations);

/// <summary>What was measured at one strength.</summary>
/// <param name="Label">The strength, or what was done instead of steering.</param>
/// <param name="Trait">Share of drawn texts with the trait.</param>
/// <param name="Greedy">Share of texts of the likeliest tokens with the trait, one for each opening.</param>
/// <param name="Perplexity">Perplexity of neutral texts; null where nothing about the model differs.</param>
/// <param name="Repeating">Share of drawn texts in which some four words in a row occur three times or more.</param>
public sealed record Measurement(string Label, Proportion Trait, Proportion Greedy, double? Perplexity, Proportion Repeating);

/// <summary>Everything that the demonstration found, for the terminal and for reports.</summary>
public sealed record DemonstrationResult(
    Trait Trait,
    ModelDescription Model,
    FitResult Fit,
    ImmutableArray<float> Strengths,
    ImmutableArray<SideBySide> Texts,
    ImmutableArray<Measurement> Measurements,
    ImmutableArray<Verdict> Proof,
    string MapFile,
    ImmutableArray<string> SteeredFolders)
{
    /// <summary>Whether every check held.</summary>
    public bool Holds => Proof.All(verdict => verdict.Holds);
}
