using System.Text;
using OnnxSteer.Onnx;

namespace OnnxSteer.Tests;

public sealed class AdapterFileTests
{
    private static readonly AdapterParameter[] Parameters =
    [
        new("onnxsteer.scale:a", DataType.Float32, [3], new byte[] { 0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64 }),
        new("onnxsteer.shift:a", DataType.Float16, [2, 1], new byte[] { 0, 56, 0, 196 }),
        new("é", DataType.BFloat16, [], new byte[] { 224, 64 }),
        new("empty", DataType.Int64, [0, 4], Array.Empty<byte>()),
    ];

    [Fact]
    public void What_is_written_is_read()
    {
        foreach (var count in Enumerable.Range(0, Parameters.Length + 1))
        {
            var read = AdapterFile.Parse(AdapterFile.ToBytes(Parameters[..count]), "x");
            Assert.Equal(count, read.Length);
            Assert.All(read.Zip(Parameters), pair =>
            {
                Assert.Equal((pair.Second.Name, pair.Second.DataType), (pair.First.Name, pair.First.DataType));
                Assert.Equal(pair.Second.Dims.AsEnumerable(), pair.First.Dims.AsEnumerable());
                Assert.Equal(pair.Second.Data.ToArray(), pair.First.Data.ToArray());
            });
        }
    }

    [Fact]
    public void Damaged_files_are_refused_or_read_and_never_more()
    {
        var bytes = AdapterFile.ToBytes(Parameters);
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            var mutated = bytes.ToArray();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                mutated[random.Next(mutated.Length)] = (byte)(random.Next(3) switch { 0 => 0xFF, 1 => 0x7F, _ => random.Next(256) });
            Try(random.Next(4) == 0 ? mutated[..random.Next(mutated.Length)] : mutated);
        }
        for (var length = 0; length < bytes.Length; length++)
            Try(bytes[..length]);

        static void Try(byte[] mutated)
        {
            try
            {
                Assert.InRange(AdapterFile.Parse(mutated, "x").Sum(parameter => parameter.Data.Length), 0, mutated.Length * Parameters.Length);
            }
            catch (OnnxException e)
            {
                Assert.Contains("not a readable adapter file", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Other_files_are_refused()
    {
        Assert.Contains("'TORT'", Assert.Throws<OnnxException>(() => AdapterFile.Parse(Encoding.UTF8.GetBytes("no adapter, but some text"), "x")).Message, StringComparison.Ordinal);
        Assert.Contains("twice", Assert.Throws<OnnxException>(() => AdapterFile.Parse(AdapterFile.ToBytes([Parameters[0], Parameters[0]]), "x")).Message, StringComparison.Ordinal);
    }
}
