using System.Buffers.Binary;
using System.Text;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string FilePath => folder["file.safetensors"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Every_type_survives_a_round_trip()
    {
        SafetensorsWriter.Write(FilePath,
        [
            SafetensorsTensor.Of<bool>("bool", [true, false]),
            SafetensorsTensor.Of<sbyte>("i8", [-128, 127]),
            SafetensorsTensor.Of<byte>("u8", [0, 255]),
            SafetensorsTensor.Of<short>("i16", [short.MinValue, short.MaxValue]),
            SafetensorsTensor.Of<ushort>("u16", [0, ushort.MaxValue]),
            SafetensorsTensor.Of<int>("i32", [int.MinValue, int.MaxValue]),
            SafetensorsTensor.Of<uint>("u32", [0, uint.MaxValue]),
            SafetensorsTensor.Of<long>("i64", [long.MinValue, long.MaxValue]),
            SafetensorsTensor.Of<ulong>("u64", [0, long.MaxValue]),
            SafetensorsTensor.Of<Half>("f16", [(Half)(-0.5), Half.MaxValue, Half.PositiveInfinity, Half.Epsilon]),
            SafetensorsTensor.OfBytes("bf16", SafetensorsType.BF16, [2], new byte[] { 0x80, 0x3f, 0x49, 0xc0 }),
            SafetensorsTensor.Of<float>("f32", [1, float.NaN, float.NegativeInfinity, float.Epsilon], [2, 2]),
            SafetensorsTensor.Of<double>("f64", [0.1, -1e300]),
            SafetensorsTensor.Of<float>("scalar", [3], []),
            SafetensorsTensor.Of<float>("empty", [], [0, 1L << 60]),
        ]);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal([1, 0], file.ReadIntegers("bool"));
        Assert.Equal([-128, 127], file.ReadIntegers("i8"));
        Assert.Equal([0, 255], file.ReadIntegers("u8"));
        Assert.Equal([short.MinValue, short.MaxValue], file.ReadIntegers("i16"));
        Assert.Equal([0, ushort.MaxValue], file.ReadIntegers("u16"));
        Assert.Equal([int.MinValue, int.MaxValue], file.ReadIntegers("i32"));
        Assert.Equal([0, uint.MaxValue], file.ReadIntegers("u32"));
        Assert.Equal([long.MinValue, long.MaxValue], file.ReadIntegers("i64"));
        Assert.Equal([0, long.MaxValue], file.ReadIntegers("u64"));
        Assert.Equal([-0.5f, 65504f, float.PositiveInfinity, MathF.Pow(2, -24)], file.ReadSingles("f16"));
        Assert.Equal([1f, -3.140625f], file.ReadSingles("bf16"));
        Assert.Equal([1, float.NaN, float.NegativeInfinity, float.Epsilon], file.ReadSingles("f32"));
        Assert.Equal([0.1, -1e300], file.ReadDoubles("f64"));
        Assert.Equal([0.1f, float.NegativeInfinity], file.ReadSingles("f64"));
        Assert.Equal([1.0, -3.140625], file.ReadDoubles("bf16"));
        Assert.Equal(Matrix.Of(2, 2, [1, float.NaN, float.NegativeInfinity, float.Epsilon]), file.ReadMatrix("f32"));
        Assert.Equal([3f], file.ReadSingles("scalar"));
        Assert.Empty(file["scalar"].Shape);
        Assert.Empty(file.ReadSingles("empty"));
        Assert.Equal([0x80, 0x3f, 0x49, 0xc0], file.ReadBytes("bf16"));
    }

    [Fact]
    public void Tensors_longer_than_a_chunk_are_read_whole()
    {
        var values = Enumerable.Range(0, 600_001).ToArray();
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<int>("i", values), SafetensorsTensor.Of<double>("d", [.. values.Select(v => v / 3.0)])]);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(values.Select(v => (long)v), file.ReadIntegers("i"));
        Assert.Equal(values.Select(v => (float)(v / 3.0)), file.ReadSingles("d"));
    }

    [Fact]
    public void Wide_elements_come_first_and_else_the_given_order_holds()
    {
        SafetensorsWriter.Write(FilePath,
            [SafetensorsTensor.Of<byte>("a", [1]), SafetensorsTensor.Of<float>("z", [1]), SafetensorsTensor.Of<float>("b", [2]), SafetensorsTensor.Of<double>("y", [3])],
            new Dictionary<string, string> { ["k"] = "välue \"\\\n", ["a"] = "" });
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Equal(["y", "z", "b", "a"], file.Tensors.Select(t => t.Name));
        Assert.Equal([("a", ""), ("k", "välue \"\\\n")], file.Metadata.Select(m => (m.Key, m.Value)));
        Assert.Equal(0, file.Tensors[0].Offset % 8);
    }

    [Fact]
    public void A_file_without_tensors_is_a_file()
    {
        SafetensorsWriter.Write(FilePath, []);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Empty(file.Tensors);
        Assert.Empty(file.Metadata);
    }

    [Fact]
    public void The_writer_refuses_names_that_a_reader_would()
    {
        Assert.Throws<OnnxException>(() => SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("a", [1]), SafetensorsTensor.Of<float>("a", [1])]));
        Assert.Throws<OnnxException>(() => SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("__metadata__", [1])]));
        Assert.Throws<OnnxException>(() => SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("\ud800", [1])]));
        Assert.Throws<OnnxException>(() => SafetensorsWriter.Write(FilePath, [], new Dictionary<string, string> { ["k"] = "\udfff\ufffd" }));
        Assert.Throws<ArgumentException>(() => SafetensorsTensor.Of<float>("a", [1], [2]));
        Assert.False(File.Exists(FilePath));
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"note":{"more":[1]}}}   """, 2)]
    [InlineData("""{"b":{"data_offsets":[1,2],"shape":[],"dtype":"U8"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{}}""", 2)]
    [InlineData("""{"e":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}""", 1)]
    public void What_the_format_allows_is_read(string header, int data)
    {
        WriteRaw(header, data);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.All(file.Tensors, t => Assert.Equal(t.Length, file.ReadBytes(t.Name).Length));
        Assert.True(file.Contains("a"));
    }

    [Theory]
    [InlineData("", 0, "nothing")]
    [InlineData(" {}", 0, "0x20")]
    [InlineData("{", 0, "not valid JSON")]
    [InlineData("{}{}", 0, "not valid JSON")]
    [InlineData("{},", 0, "not valid JSON")]
    [InlineData("{\"a\":1}", 0, "'a'")]
    [InlineData("{\"a\":{}}", 0, "'dtype'")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "'data_offsets'")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "'shape'")]
    [InlineData("{\"a\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "'C64'")]
    [InlineData("{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "dtype")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, "'shape'")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", 1, "'shape'")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[[1]],\"data_offsets\":[0,1]}}", 1, "'shape'")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "'shape'")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "data_offsets")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1, "data_offsets")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1, "data's length of 1")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "takes 4 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,1]}}", 1, "overflows")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2, "2 follow")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "overlaps nor holes")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "overlaps nor holes")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2, "'a' twice")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "'dtype' twice")]
    [InlineData("{\"__metadata__\":{\"k\":1}}", 0, "'k'")]
    [InlineData("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "'k' twice")]
    [InlineData("{\"__metadata__\":[]}", 0, "__metadata__")]
    [InlineData("{\"\\ud800\":{}}", 0, "not valid JSON")]
    public void What_the_format_forbids_is_refused(string header, int data, string said)
    {
        WriteRaw(header, data);
        var error = Assert.Throws<OnnxException>(() => SafetensorsFile.Open(FilePath));
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
        Assert.Contains(FilePath, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_that_are_no_safetensors_files_are_refused()
    {
        Assert.Throws<OnnxException>(() => SafetensorsFile.Open(folder["absent"]));
        Assert.Contains("folder", Assert.Throws<OnnxException>(() => SafetensorsFile.Open(folder.Path)).Message, StringComparison.Ordinal);
        File.WriteAllBytes(FilePath, [1, 2, 3]);
        Assert.Contains("3 bytes", Assert.Throws<OnnxException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);
        File.WriteAllBytes(FilePath, [.. Enumerable.Repeat((byte)0xff, 8), (byte)'{', (byte)'}']);
        Assert.Contains(ulong.MaxValue.ToString(System.Globalization.CultureInfo.InvariantCulture),
            Assert.Throws<OnnxException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);
        WriteRaw("{\"\xff\xfe\":1}", 0, Encoding.Latin1);
        Assert.Contains("UTF-8", Assert.Throws<OnnxException>(() => SafetensorsFile.Open(FilePath)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Asking_for_the_wrong_thing_names_the_right_one()
    {
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<long>("ids", [1]), SafetensorsTensor.Of<float>("x", [1]), SafetensorsTensor.Of<ulong>("big", [ulong.MaxValue])]);
        using var file = SafetensorsFile.Open(FilePath);
        Assert.Contains("'ids'", Assert.Throws<OnnxException>(() => file.ReadSingles("y")).Message, StringComparison.Ordinal);
        Assert.Contains("I64 [1]", Assert.Throws<OnnxException>(() => file.ReadSingles("ids")).Message, StringComparison.Ordinal);
        Assert.Contains("F32 [1]", Assert.Throws<OnnxException>(() => file.ReadIntegers("x")).Message, StringComparison.Ordinal);
        Assert.Contains("F32 [1]", Assert.Throws<OnnxException>(() => file.ReadMatrix("x")).Message, StringComparison.Ordinal);
        Assert.Contains("18446744073709551615", Assert.Throws<OnnxException>(() => file.ReadIntegers("big")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_shrinks_while_open_is_an_error()
    {
        SafetensorsWriter.Write(FilePath, [SafetensorsTensor.Of<float>("x", [1, 2, 3])]);
        using var file = SafetensorsFile.Open(FilePath);
        using (var shorter = new FileStream(FilePath, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete))
            shorter.SetLength(shorter.Length - 1);
        Assert.Contains("shortened", Assert.Throws<OnnxException>(() => file.ReadSingles("x")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Mutated_files_give_tensors_or_clear_errors()
    {
        SafetensorsWriter.Write(FilePath,
            [SafetensorsTensor.Of<float>("s/w", [1, 2]), SafetensorsTensor.Of<float>("s/b", [1, 2]), SafetensorsTensor.Of<double>("s/lo", [0, 0]), SafetensorsTensor.Of<Half>("s/hi", [(Half)1, (Half)1])],
            new Dictionary<string, string> { ["onnxsteer"] = "map.1", ["sites"] = "[\"s\"]", ["samples"] = """{"source":1,"target":2}""" });
        var original = File.ReadAllBytes(FilePath);
        var random = new Random(20260);
        var refused = 0;
        for (var round = 0; round < 3000; round++)
        {
            File.WriteAllBytes(FilePath, Mutate(original, random));
            try
            {
                SteeringMap.Load(FilePath);
            }
            catch (OnnxException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 1000, 2999);
    }

    private static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = original.ToList();
        for (var edits = random.Next(1, 4); edits > 0 && bytes.Count > 0; edits--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(5))
            {
                case 0: bytes[at] = (byte)random.Next(256); break;
                case 1: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 2: bytes.RemoveRange(at, Math.Min(random.Next(1, 9), bytes.Count - at)); break;
                case 3: bytes.Insert(at, (byte)"0123456789{}[]\",:\\-e \0"[random.Next(22)]); break;
                default: bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 33), bytes.Count - at))); break;
            }
        }
        return [.. bytes];
    }

    private void WriteRaw(string header, int data, Encoding? encoding = null)
    {
        var json = (encoding ?? Encoding.UTF8).GetBytes(header);
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, json.Length);
        File.WriteAllBytes(FilePath, [.. prefix, .. json, .. new byte[data]]);
    }
}
