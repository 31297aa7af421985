namespace OnnxSteer.Testing;

/// <summary>Whether a check held.</summary>
/// <param name="Check">What was checked.</param>
/// <param name="Holds">Whether it held.</param>
/// <param name="Detail">The figure seen, and the one expected.</param>
public sealed record Verdict(string Check, bool Holds, string Detail);
