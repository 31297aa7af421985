using System.Globalization;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>Runs a property over many seeds; a failure names the seed that shows it.</summary>
internal static class Seeds
{
    public static void Each(int count, Action<int> property)
    {
        for (var seed = 0; seed < count; seed++)
            Run(seed, property);
    }

    public static void Run(int seed, Action<int> property)
    {
        try
        {
            property(seed);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Seed {seed}: {e.Message}"), e);
        }
    }
}
