using System.Globalization;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>
/// The data file of one patch, <c>MODEL.onnxsteerK.data</c>: contents that the patch gives to tensors, and bytes of the model that it
/// replaced, too large to be kept in its record. Nothing is written before the model is saved.
/// </summary>
internal sealed class PatchData
{
    private const string Middle = ".onnxsteer", End = ".data";

    // Where tensors begin, so that runtimes can map them into memory.
    private const int Alignment = 4096;
    private readonly List<(long Start, ByteSource Source)> _parts = [];
    private long _length;

    public PatchData(Model model, int number) =>
        Name = string.Create(CultureInfo.InvariantCulture, $"{(model.Folder is null ? "model.onnx" : Path.GetFileName(model.Source.Name))}{Middle}{number}{End}");

    /// <summary>The file's name, beside the model.</summary>
    public string Name { get; }

    public bool IsEmpty => _parts.Count == 0;

    /// <summary>Whether a file is one of these.</summary>
    public static bool IsName(string name) => name.EndsWith(End, StringComparison.Ordinal) && name.Contains(Middle, StringComparison.Ordinal);

    /// <summary>Appends contents.</summary>
    /// <returns>Where they begin.</returns>
    public long Add(ByteSource source)
    {
        _length = (_length + Alignment - 1) / Alignment * Alignment;
        var start = _length;
        _parts.Add((start, source));
        _length += source.Length;
        return start;
    }

    /// <summary>The whole file; zeros between the parts.</summary>
    public ByteSource Content()
    {
        var parts = _parts.ToArray();
        return ByteSource.Computed(Name, _length, (offset, destination) =>
        {
            destination.Clear();
            foreach (var (start, source) in parts)
            {
                var (from, to) = (Math.Max(offset, start), Math.Min(offset + destination.Length, start + source.Length));
                if (from < to)
                    source.Read(from - start, destination[(int)(from - offset)..(int)(to - offset)]);
            }
        });
    }
}
