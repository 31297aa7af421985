using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public class TransportTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 20)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Strength_0_is_the_identity_to_the_bit(int seed)
    {
        var (transport, z) = Random(seed);
        z[0] = -0f;
        z[1] = float.NaN;
        z[2] = float.PositiveInfinity;
        Assert.Equal(Bits(z), Bits(Apply(transport, z, 0)));
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Strength_1_is_the_map_inside_the_support_and_the_identity_outside(int seed)
    {
        var (transport, z) = Random(seed);
        var y = Apply(transport, z, 1);
        for (var i = 0; i < z.Length; i++)
        {
            var c = i % transport.Channels;
            var inside = transport.Support!.Lo[c] < z[i] && z[i] < transport.Support.Hi[c];
            Assert.Equal(inside ? (transport.W[c] * z[i]) + transport.B[c] : z[i], y[i]);
        }
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Strengths_add_up_inside_the_support(int seed)
    {
        var (transport, z) = Random(seed);
        var (one, other, both) = (Apply(transport, z, 0.3f), Apply(transport, z, 0.45f), Apply(transport, z, 0.75f));
        for (var i = 0; i < z.Length; i++)
            Assert.Equal((double)both[i] - z[i], (double)one[i] - z[i] + (other[i] - (double)z[i]), 1e-5 * (1 + Math.Abs(z[i])));
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Rows_are_mapped_each_on_its_own_and_in_place_alike(int seed)
    {
        var (transport, z) = Random(seed);
        var y = Apply(transport, z, 0.7f);
        for (var row = 0; row < z.Length; row += transport.Channels)
            Assert.Equal(y[row..(row + transport.Channels)], Apply(transport, z[row..(row + transport.Channels)], 0.7f));
        transport.Apply(z, z, 0.7f);
        Assert.Equal(y, z);
    }

    [Fact]
    public void Bounds_themselves_and_values_that_are_not_finite_stay()
    {
        var bounded = Transport.Of("s", [3], [1], [-1], [2]);
        float[] z = [-1, 2, MathF.BitIncrement(-1), MathF.BitDecrement(2), float.NaN, float.PositiveInfinity, float.NegativeInfinity];
        float[] y = Apply(bounded, z, 1);
        Assert.Equal([-1f, 2f], y[..2]);
        Assert.Equal([(3 * z[2]) + 1, (3 * z[3]) + 1], y[2..4]);
        Assert.Equal([float.NaN, float.PositiveInfinity, float.NegativeInfinity], y[4..]);
        var zeroed = Transport.Of("s", [0], [5]);
        Assert.Equal([5f, 5f, float.NaN, float.PositiveInfinity], Apply(zeroed, [1, 2e6f, float.NaN, float.PositiveInfinity], 1));
    }

    [Fact]
    public void Lanes_and_the_rest_of_a_row_follow_one_rule()
    {
        const int channels = 37;
        var transport = Transport.Of("s", [.. Enumerable.Repeat(2f, channels)], [.. Enumerable.Repeat(1f, channels)],
            [.. Enumerable.Repeat(0f, channels)], [.. Enumerable.Repeat(10f, channels)]);
        foreach (var (z, y) in new[] { (0f, 0f), (10f, 10f), (4f, 9f), (-3f, -3f), (float.NaN, float.NaN), (float.PositiveInfinity, float.PositiveInfinity) })
            Assert.All(Apply(transport, [.. Enumerable.Repeat(z, channels)], 1), value => Assert.Equal(y, value));
    }

    [Fact]
    public void A_tiny_factor_keeps_its_digits_at_strength_1()
        => Assert.Equal(1e-12f, Transport.Of("s", [1e-12f], [0]).Scaled(1).Scale[0]);

    [Fact]
    public void Identity_is_told_by_channel()
    {
        Assert.True(Transport.Of("s", [1, 1], [0, -0f]).IsIdentity);
        Assert.False(Transport.Of("s", [1, 1], [0, 1e-30f]).IsIdentity);
        Assert.False(Transport.Of("s", [1, 2], [0, 0]).IsIdentity);
        Assert.True(Transport.Of("s", [2, 2], [3, 3], [1, 5], [1, MathF.BitIncrement(5)]).IsIdentity);
        var oneValue = Transport.Of("s", [2], [3], [5], [MathF.BitIncrement(MathF.BitIncrement(5))]);
        Assert.False(oneValue.IsIdentity);
        Assert.Equal((2 * MathF.BitIncrement(5)) + 3, Apply(oneValue, [MathF.BitIncrement(5)], 1)[0]);
    }

    [Fact]
    public void A_million_and_infinity_both_stand_for_no_bound()
    {
        Assert.Null(Transport.Of("s", [2], [0], [-1e6f], [1e6f]).Support);
        Assert.Null(Transport.Of("s", [2], [0], [float.NegativeInfinity], [float.PositiveInfinity]).Support);
        var mixed = Transport.Of("s", [2, 2, 2], [0, 0, 0], [-1e6f, -2e6f, 0], [1, 1e6f, 2e6f]);
        Assert.Equal([float.NegativeInfinity, -2e6f, 0], mixed.Support!.Lo.AsEnumerable());
        Assert.Equal([1, float.PositiveInfinity, 2e6f], mixed.Support.Hi.AsEnumerable());
        Assert.Equal([-6e6f, 6e6f, 3e6f], Apply(mixed, [-3e6f, 3e6f, 1.5e6f], 1));
    }

    [Fact]
    public void Faults_are_refused_by_name()
    {
        Assert.Contains("'here'", Refused(() => Transport.Of("here", [], [])), StringComparison.Ordinal);
        Assert.Contains("'here/b' has 1", Refused(() => Transport.Of("here", [1, 2], [1])), StringComparison.Ordinal);
        Assert.Contains("'here/w' is NaN in channel 1", Refused(() => Transport.Of("here", [1, float.NaN], [1, 1])), StringComparison.Ordinal);
        Assert.Contains("'here/b' is -Infinity in channel 0", Refused(() => Transport.Of("here", [1], [float.NegativeInfinity])), StringComparison.Ordinal);
        Assert.Contains("'here/hi' has 2", Refused(() => Transport.Of("here", [1], [1], [0], [1, 2])), StringComparison.Ordinal);
        Assert.Contains("2 and 1 in channel 0", Refused(() => Transport.Of("here", [1], [1], [2], [1])), StringComparison.Ordinal);
        Assert.Contains("NaN", Refused(() => Transport.Of("here", [1], [1], [0], [float.NaN])), StringComparison.Ordinal);
        Assert.Contains("Infinity", Refused(() => Transport.Of("here", [1], [1], [float.PositiveInfinity], [float.PositiveInfinity])), StringComparison.Ordinal);
        var transport = Transport.Of("here", [1, 2], [0, 0]);
        Assert.Contains("NaN", Refused(() => Apply(transport, [1, 2], float.NaN)), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Apply(transport, [1, 2, 3], 1));
        Assert.Throws<ArgumentException>(() => transport.Apply(new float[2], new float[4], 1));
    }

    [Fact]
    public void Rounding_outward_changes_no_comparison_with_a_single()
    {
        var random = new Random(7);
        for (var round = 0; round < 200_000; round++)
        {
            var near = RandomSingle(random);
            // Exactly a single, or a few steps of float64 beside one, or anywhere between two.
            var bound = (round % 3) switch
            {
                0 => near,
                1 => near + (Math.BitIncrement((double)near) - near) * random.Next(-3, 4),
                _ => near + ((MathF.BitIncrement(near) - (double)near) * random.NextDouble()),
            };
            foreach (var z in new[] { MathF.BitDecrement(near), near, MathF.BitIncrement(near), -near, 0 })
            {
                Assert.Equal(z > bound, z > Support.RoundDown(bound));
                Assert.Equal(z < bound, z < Support.RoundUp(bound));
            }
        }
    }

    [Theory]
    [InlineData(1e300, float.MaxValue, float.PositiveInfinity)]
    [InlineData(-1e300, float.NegativeInfinity, float.MinValue)]
    [InlineData(1e-300, 0f, float.Epsilon)]
    [InlineData(0.5, 0.5f, 0.5f)]
    public void Rounding_outward_at_the_ends(double bound, float down, float up)
    {
        Assert.Equal(down, Support.RoundDown(bound));
        Assert.Equal(up, Support.RoundUp(bound));
    }

    [Fact]
    public void One_channel_is_mapped_as_in_a_row()
    {
        var transport = Transport.Of("s", [2, -0.5f, 1], [1, 3, 0.25f], [-1, float.NegativeInfinity, 0], [1, 2, float.PositiveInfinity]);
        float[] z = [-1, -1, -1, 0.5f, 0.5f, 0.5f, 1, 2, 3, float.NaN, float.NegativeInfinity, float.PositiveInfinity];
        var y = new float[z.Length];
        transport.Apply(z, y, 1);
        for (var channel = 0; channel < 3; channel++)
        {
            var column = new float[4];
            transport.ApplyChannel(channel, [z[channel], z[3 + channel], z[6 + channel], z[9 + channel]], column);
            Assert.Equal([y[channel], y[3 + channel], y[6 + channel], y[9 + channel]], column);
        }
    }

    private static float RandomSingle(Random random)
    {
        while (true)
            if (BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue)) is var value && float.IsFinite(value))
                return value;
    }

    private static (Transport Transport, float[] Z) Random(int seed)
    {
        var random = new Random(seed);
        var channels = random.Next(3, 40);
        float[] Draw(double scale, double shift) => [.. Enumerable.Range(0, channels).Select(_ => (float)((random.NextDouble() * scale) + shift))];
        var transport = Transport.Of("s", [.. Draw(4, -2)], [.. Draw(2, -1)], [.. Draw(1, -2)], [.. Draw(1, 1)]);
        var z = Enumerable.Range(0, 7 * channels).Select(_ => (float)((random.NextDouble() * 6) - 3)).ToArray();
        z[^1] = transport.Support!.Hi[^1];
        z[^2] = transport.Support.Lo[^2];
        return (transport, z);
    }

    private static float[] Apply(Transport transport, float[] z, float strength)
    {
        var y = new float[z.Length];
        transport.Apply(z, y, strength);
        return y;
    }

    private static string Refused(Action action) => Assert.Throws<OnnxException>(action).Message;

    private static IEnumerable<int> Bits(float[] values) => values.Select(BitConverter.SingleToInt32Bits);
}
