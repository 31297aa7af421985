using System.Text;

namespace OnnxSteer.Ort.Tests;

/// <summary>
/// ONNX Runtime's adapter format, written by hand: a flatbuffer whose tables all have four fields of four bytes, so that one
/// vtable serves them all.
/// </summary>
internal static class AdapterFile
{
    private const int Vtable = 8;

    public static byte[] Of(params (string Name, long[] Shape, ElementType Type, byte[] Data)[] parameters)
    {
        var file = new List<byte>();
        Int(file, 0);
        file.AddRange("TORT"u8);
        foreach (ushort entry in (ushort[])[12, 20, 4, 8, 12, 16])
            file.AddRange(BitConverter.GetBytes(entry));
        Point(file, 0, Table(file, 1, 1, 1, 0)); // versions of the format, the adapter and the model
        Point(file, file.Count - 4, file.Count);
        Int(file, parameters.Length);
        var tables = file.Count;
        file.AddRange(new byte[4 * parameters.Length]);
        for (var i = 0; i < parameters.Length; i++)
        {
            var (name, shape, type, data) = parameters[i];
            Pad(file, 4);
            var table = Table(file, 0, 0, (int)type, 0);
            Point(file, tables + (4 * i), table);
            Vector(file, table + 4, 4, [.. Encoding.UTF8.GetBytes(name)], Encoding.UTF8.GetByteCount(name));
            file.Add(0);
            Vector(file, table + 8, 8, [.. shape.SelectMany(BitConverter.GetBytes)], shape.Length);
            Vector(file, table + 16, 8, data, data.Length);
        }
        return [.. file];
    }

    public static (string Name, long[] Shape, ElementType Type, byte[] Data) Floats(string name, params float[] data) =>
        (name, [data.Length], ElementType.Float, [.. data.SelectMany(BitConverter.GetBytes)]);

    private static int Table(List<byte> file, params int[] fields)
    {
        var start = file.Count;
        Int(file, start - Vtable);
        foreach (var field in fields)
            Int(file, field);
        return start;
    }

    private static void Vector(List<byte> file, int field, int alignment, byte[] data, int count)
    {
        while ((file.Count + 4) % alignment != 0)
            file.Add(0);
        Point(file, field, file.Count);
        Int(file, count);
        file.AddRange(data);
    }

    private static void Point(List<byte> file, int field, int target)
    {
        var bytes = BitConverter.GetBytes(target - field);
        for (var i = 0; i < 4; i++)
            file[field + i] = bytes[i];
    }

    private static void Pad(List<byte> file, int alignment)
    {
        while (file.Count % alignment != 0)
            file.Add(0);
    }

    private static void Int(List<byte> file, int value) => file.AddRange(BitConverter.GetBytes(value));
}
