namespace OnnxSteer.Fixtures;

/// <summary>Whether tests go over everything (<c>ONNXSTEER_EXHAUSTIVE=1</c>) or over a fixed sample.</summary>
public static class Exhaustive
{
    public static bool IsOn { get; } = Environment.GetEnvironmentVariable("ONNXSTEER_EXHAUSTIVE") == "1";
}
