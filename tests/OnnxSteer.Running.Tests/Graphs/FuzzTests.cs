using OnnxSteer.Fixtures;
using OnnxSteer.Fuzz;

namespace OnnxSteer.Running.Tests.Graphs;

public sealed class FuzzTests
{
    // More by hand: dotnet run --project tools/OnnxSteer.Fuzz -c Release -- --count 1000000
    [Fact]
    public void Hostile_files_are_refused_with_words()
    {
        using var fuzzer = new Fuzzer();
        var result = fuzzer.Run(1, Exhaustive.IsAsked ? 100_000 : 1_500);
        Assert.InRange(result.Refused, result.Cases / 4, result.Cases);
        Assert.InRange(result.Patched, result.Cases / 10, result.Cases);
    }
}
