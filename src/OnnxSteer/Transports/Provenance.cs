namespace OnnxSteer;

/// <summary>
/// What a steering map was fitted on. Every part may be unknown (null), as in maps made by other programs. Names are
/// plain text, so that a file that uses others than ours can still be read and shown.
/// </summary>
/// <param name="Method">The method's name, as <c>linear</c>.</param>
/// <param name="Pooling">How tokens were pooled to samples, as <c>mean</c>.</param>
/// <param name="Band">The band of quantiles that bounds the support, as <c>q_0_100</c>.</param>
/// <param name="Causal">Whether each site was fitted under the maps of the sites before it.</param>
/// <param name="Order">How the order of the sites was chosen: <c>execution</c>, or the file that lists them.</param>
/// <param name="Samples">How many samples there were.</param>
/// <param name="SourceDigest">SHA-256 of the source prompts (<see cref="PromptSet.Digest"/>).</param>
/// <param name="TargetDigest">SHA-256 of the target prompts.</param>
/// <param name="Tool">Program and version that fitted the map.</param>
/// <param name="Label">The map's name among others in one graph.</param>
/// <param name="Fingerprint">The model that the map was fitted on.</param>
/// <param name="Settings">The method's options, as <c>coefficient=2</c>.</param>
/// <param name="Tokens">Which tokens of a prompt were pooled, as <c>completion 0:10 skip-first</c>; null for all.</param>
/// <param name="MadeFrom">Of an imported map, the format, name and digest of the file that it was made from, and how.</param>
public sealed record Provenance(
    string? Method = null,
    string? Pooling = null,
    string? Band = null,
    bool? Causal = null,
    string? Order = null,
    SampleCounts? Samples = null,
    string? SourceDigest = null,
    string? TargetDigest = null,
    string? Tool = null,
    string? Label = null,
    Fingerprint? Fingerprint = null,
    string? Settings = null,
    string? Tokens = null,
    string? MadeFrom = null)
{
    /// <summary>Nothing is known.</summary>
    public static Provenance Unknown { get; } = new();

    /// <summary>This program and its version, for <see cref="Tool"/>.</summary>
    public static string ThisTool { get; } = $"onnxsteer {typeof(Provenance).Assembly.GetName().Version?.ToString(3)}";
}

/// <summary>How many samples a fit had on each side.</summary>
/// <param name="Source">Samples where activations come from.</param>
/// <param name="Target">Samples where activations shall go.</param>
public sealed record SampleCounts(int Source, int Target);
