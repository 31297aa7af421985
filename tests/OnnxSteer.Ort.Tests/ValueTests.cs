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

    [Theory]
    [InlineData(ElementType.Float8E4M3FN, 3, 3)]
    [InlineData(ElementType.Float8E5M2, 3, 3)]
    [InlineData(ElementType.BFloat16, 3, 6)]
    [InlineData(ElementType.Double, 0, 0)]
    public void Raw_bytes_of_a_named_type_go_through_a_model_unchanged(ElementType type, int elements, int bytes)
    {
        var data = Enumerable.Range(1, bytes).Select(i => (byte)i).ToArray();
        var model = Models.Identity(type, "n");
        model.IrVersion = 9; // where eight-bit floating point came in
        model.OpsetImport[0].Version = 19;
        using var session = model.Open();
        using var x = OrtValue.FromMemory(type, data, elements);
        using var outputs = session.Run(Models.Feed(("x", x)));
        Assert.Equal(type, outputs[0].ElementType);
        Assert.Equal(data, outputs[0].Bytes().ToArray());
    }

    [Fact]
    public void Four_bit_elements_are_two_a_byte()
    {
        var model = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("x", ElementType.UInt4, "n"));
                graph.Output.Add(Models.Value("y", ElementType.Float, "n"));
            },
            Models.Node("Cast", ["x"], ["y"],
                new Onnx.Protobuf.AttributeProto { Name = "to", Type = Onnx.Protobuf.AttributeProto.Types.AttributeType.Int, I = 1 }));
        model.IrVersion = 10;
        model.OpsetImport[0].Version = 21;
        using var session = model.Open();
        using var x = OrtValue.FromMemory(ElementType.UInt4, new byte[] { 0x21, 0x0F }, 3);
        Assert.Equal(2, x.Bytes().Length);
        using var outputs = session.Run(Models.Feed(("x", x)));
        Assert.Equal([1, 2, 15], outputs[0].Span<float>());
    }

    [Fact]
    public void Strings_of_any_length_and_script_go_through_a_model_unchanged()
    {
        string[] data = ["", "plain", "grüße", "日本語", "😀", "a\0b", new string('x', 5000)];
        using var session = Models.Identity(ElementType.String, "n").Open();
        using var x = OrtValue.FromStrings(data, data.Length);
        using var outputs = session.Run(Models.Feed(("x", x)));
        Assert.Equal(data, outputs[0].Strings());
        Assert.Equal(data, x.Strings());
        using var none = OrtValue.FromStrings([], 0);
        Assert.Empty(none.Strings());
        Assert.Contains("Strings()", Assert.Throws<InvalidOperationException>(() => x.Bytes().Length).Message);
        Assert.Throws<ArgumentNullException>(() => OrtValue.FromStrings([null!], 1));
    }

    [Fact]
    public void Memory_is_shared_not_copied()
    {
        float[] data = [1, 2, 3];
        using var value = OrtValue.FromMemory(data, 3);
        data[1] = 20;
        Assert.Equal(20, value.Span<float>()[1]);
        value.Span<float>()[2] = 30;
        Assert.Equal(30, data[2]);
        using var slice = OrtValue.FromMemory(data.AsMemory(1, 2), 2);
        Assert.Equal([20, 30], slice.Span<float>());
    }

    [Fact]
    public void Scalars_and_allocated_tensors_have_shapes()
    {
        using var scalar = OrtValue.FromMemory(new[] { 5L });
        Assert.Equal(0, scalar.Shape.Length);
        Assert.Equal(1, scalar.Length);
        using var allocated = OrtValue.Allocate(ElementType.Float16, 2, 0, 4);
        Assert.Equal([2, 0, 4], allocated.Shape);
        Assert.Equal(0, allocated.Length);
        Assert.Equal(ValueKind.Tensor, allocated.Kind);
        Assert.True(allocated.HasValue);
        Assert.Equal("Float16[2,0,4]", allocated.ToString());
    }

    [Fact]
    public void Length_and_shape_must_agree()
    {
        Assert.StartsWith("There are 3 elements, but the shape [2,2] takes 4.",
            Assert.Throws<ArgumentException>(() => OrtValue.FromMemory(new float[3], 2, 2)).Message);
        Assert.StartsWith("There are 3 bytes, but the shape [2] takes 8 bytes of Float.",
            Assert.Throws<ArgumentException>(() => OrtValue.FromMemory(ElementType.Float, new byte[3], 2)).Message);
        Assert.StartsWith("There are 1 elements, but the shape [2] takes 2.",
            Assert.Throws<ArgumentException>(() => OrtValue.FromStrings(["a"], 2)).Message);
        Assert.StartsWith("A dimension of [2,-1] is negative",
            Assert.Throws<ArgumentException>(() => OrtValue.Allocate(ElementType.Float, 2, -1)).Message);
        Assert.Throws<OverflowException>(() => OrtValue.Allocate(ElementType.Float, long.MaxValue, 2));
        Assert.Throws<ArgumentNullException>(() => OrtValue.FromMemory((float[])null!, 1));
    }

    [Fact]
    public void The_element_type_of_a_span_is_checked()
    {
        using var value = OrtValue.FromMemory(new long[1], 1);
        Assert.StartsWith("The tensor's elements are Int64, not Single (Float).",
            Assert.Throws<InvalidOperationException>(() => value.Span<float>().Length).Message);
        Assert.Contains("not a tensor of strings", Assert.Throws<InvalidOperationException>(value.Strings).Message);
        Assert.Throws<NotSupportedException>(() => OrtValue.FromMemory(new decimal[1], 1));
        Assert.Throws<NotSupportedException>(() => OrtValue.FromMemory(ElementType.String, new byte[1], 1));
    }

    [Fact]
    public void A_disposed_value_says_so()
    {
        var value = OrtValue.FromMemory(new long[1], 1);
        value.Dispose();
        value.Dispose();
        Assert.True(value.IsDisposed);
        Assert.Contains("OrtValue", Assert.Throws<ObjectDisposedException>(() => value.Span<long>().Length).Message);
        Assert.Throws<ObjectDisposedException>(() => value.Shape.Length);
        Assert.Throws<ObjectDisposedException>(() => value.HasValue);
        Assert.Equal("(disposed)", value.ToString());
    }

    [Fact]
    public void Sequences_give_their_values()
    {
        var model = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("x", ElementType.Float, "n"));
                graph.Output.Add(new Onnx.Protobuf.ValueInfoProto
                {
                    Name = "y",
                    Type = new() { SequenceType = new() { ElemType = Models.Value("e", ElementType.Float, null!, 2).Type } },
                });
            },
            Models.Node("SequenceConstruct", ["x", "x"], ["y"]));
        using var session = model.Open();
        Assert.Equal("y: Sequence(Tensor)", $"y: {session.Outputs[0].Kind}({session.Outputs[0].Type.Element!.Kind})");
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 3);
        using var outputs = session.Run(Models.Feed(("x", x)));
        Assert.Equal(ValueKind.Sequence, outputs[0].Kind);
        Assert.Equal(2, outputs[0].Count);
        using var second = outputs[0].Element(1);
        Assert.Equal([1, 2, 3], second.Span<float>());
        Assert.Contains("Element(index)", Assert.Throws<InvalidOperationException>(() => outputs[0].Bytes().Length).Message);
        Assert.Throws<OrtException>(() => outputs[0].Element(2));
        Assert.Throws<OrtException>(() => x.Count);
    }

    [Theory]
    [InlineData(1f, 0x3F80)]
    [InlineData(-0f, 0x8000)]
    [InlineData(float.PositiveInfinity, 0x7F80)]
    [InlineData(float.MaxValue, 0x7F80)]
    [InlineData(1.00390625f, 0x3F80)] // half way, to the even one below
    [InlineData(1.01171875f, 0x3F82)] // half way, to the even one above
    public void BFloat16_rounds_to_the_nearest_even(float value, int bits)
    {
        Assert.Equal((ushort)bits, ((BFloat16)value).Bits);
        Assert.Equal(BitConverter.UInt32BitsToSingle((uint)bits << 16), (float)new BFloat16((ushort)bits));
    }

    [Fact]
    public void BFloat16_keeps_not_a_number() =>
        Assert.True(float.IsNaN((float)(BFloat16)BitConverter.UInt32BitsToSingle(0x7FFFFFFF)));

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
