using OnnxSteer.Fixtures;

namespace OnnxSteer.Tests;

/// <summary>The reference vectors of activation transport, and how far a result is from them.</summary>
internal static class Golden
{
    public static readonly string[] Bands =
    [
        "q_0_100", "q_0.5_99.5", "q_1_99", "q_2_98", "q_5_95", "q_10_90", "q_20_80", "q_30_70", "q_40_60",
    ];

    public static readonly string[] Sites =
    [
        .. from layer in Enumerable.Range(0, 5)
           from module in new[] { "self_attn.o_proj", "post_attention_layernorm", "mlp.down_proj" }
           select $"model.layers.{layer}.{module}",
    ];

    public static SafetensorsFile Open(string name) => SafetensorsFile.Open(Folders.InShared("golden", "act", name + ".safetensors"));

    /// <summary>The largest |actual - expected| / |expected| over the channels asked for.</summary>
    public static double Worst(IReadOnlyList<double> expected, IReadOnlyList<float> actual, Func<int, bool>? where = null)
    {
        Assert.Equal(expected.Count, actual.Count);
        var channels = Enumerable.Range(0, expected.Count).Where(where ?? (_ => true)).ToList();
        Assert.NotEmpty(channels);
        return channels.Max(c => expected[c] == actual[c] ? 0 : Math.Abs(actual[c] - expected[c]) / Math.Abs(expected[c]));
    }

    public static double[] Doubles(IEnumerable<float> values) => [.. values.Select(v => (double)v)];
}
