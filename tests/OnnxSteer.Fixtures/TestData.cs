namespace OnnxSteer.Fixtures;

/// <summary>Debian's package <c>libonnx-testdata</c>: the models of ONNX's own tests, with inputs.</summary>
public static class TestData
{
    public const string Folder = "/usr/share/libonnx-testdata/data";

    public static bool IsThere => Directory.Exists(Folder);

    /// <summary>All its models; in a bounded run every eighth.</summary>
    public static IReadOnlyList<string> Models() =>
        !IsThere ? [] : [.. Directory.GetFiles(Folder, "*.onnx", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Where((_, i) => Exhaustive.IsAsked || i % 8 == 0)];
}

/// <summary>Whether everything is to be tried (<c>ONNXSTEER_EXHAUSTIVE=1</c>), or a fixed sample.</summary>
public static class Exhaustive
{
    public static bool IsAsked { get; } = Environment.GetEnvironmentVariable("ONNXSTEER_EXHAUSTIVE") == "1";
}

/// <summary>A test that needs <c>libonnx-testdata</c>: skipped, with the reason, where that is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TestDataFactAttribute : FactAttribute
{
    public TestDataFactAttribute() => Skip = TestData.IsThere ? null : "needs Debian's package libonnx-testdata";
}
