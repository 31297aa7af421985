using System.Runtime.CompilerServices;

namespace OnnxSteer.Ort.Tests;

public sealed class ValueTests
{
    [Fact]
    public void Every_element_type_goes_through_a_model_unchanged()
    {
        RoundTrip<float>(1.5f, -2, float.PositiveInfinity);
        RoundTrip<double>(1.5, -2, double.Epsilon);
        RoundTrip((Half)1.5, (Half)(-2), Half.MaxValue);
        RoundTrip((BFloat16)1.5f, (BFloat16)(-2f), (BFloat16)1e30f);
        RoundTrip<long>(1, -2, long.MinValue);
        RoundTrip(1, -2, int.MinValue);
        RoundTrip<short>(1, -2, short.MinValue);
        RoundTrip<sbyte>(1, -2, sbyte.MinValue);
        RoundTrip<ulong>(1, 2, ulong.MaxValue);
        RoundTrip<uint>(1, 2, uint.MaxValue);
        RoundTrip<ushort>(1, 2, ushort.MaxValue);
        RoundTrip<byte>(1, 2, byte.MaxValue);
        RoundTrip(true, false, true);
    }

    private static void RoundTrip<T>(params T[] data)
        where T : unmanaged
    {
        var type = ElementTypes.Of<T>();
        using var session = Models.Identity(type, "n").Open();
        using var x = OrtValue.FromMemory(data, data.Length);
        using var outputs = session.Run(Models.Feed(("x", x)));
        Assert.Equal(type, outputs[0].ElementType);
        Assert.Equal(data, outputs[0].Span<T>().ToArray());
        Assert.Equal(type.ByteLength(data.Length), data.Length * Unsafe.SizeOf<T>());
    }
}
