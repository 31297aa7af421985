using System.Reflection;
using System.Runtime.InteropServices;
using OnnxSteer.Fixtures;
using OnnxSteer.Ort.Native;

namespace OnnxSteer.Ort.Tests;

public sealed class ApiTableTests
{
    private static readonly FieldInfo[] Fields = typeof(OrtApi).GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);

    [SharedFact]
    public void Every_function_is_at_its_slot()
    {
        var reference = File.ReadLines(Folders.InShared("reference", "ort-api-slots.txt"))
            .SkipWhile(line => !line.StartsWith("== OrtApi ", StringComparison.Ordinal)).Skip(1)
            .TakeWhile(line => !line.StartsWith("==", StringComparison.Ordinal))
            .Select(line => line.Split(' ', 2))
            .ToDictionary(parts => int.Parse(parts[0]), parts => parts[1]);
        Assert.Equal(425, reference.Count);
        Assert.All(Fields, field => Assert.Equal(reference[Slot(field)], field.Name));
    }

    [Fact]
    public void No_slot_is_younger_than_the_version_asked_for() =>
        Assert.All(Fields, field => Assert.InRange(Slot(field), 0, 317));

    [Fact]
    public void Every_field_is_a_function_pointer_at_a_slot_of_its_own()
    {
        Assert.All(Fields, field => Assert.True(field.FieldType.IsUnmanagedFunctionPointer, field.Name));
        Assert.Equal(Fields.Length, Fields.Select(Slot).Distinct().Count());
        Assert.Equal(8, nint.Size);
    }

    private static int Slot(FieldInfo field)
    {
        var offset = field.GetCustomAttribute<FieldOffsetAttribute>()!.Value;
        Assert.Equal(0, offset % nint.Size);
        return offset / nint.Size;
    }
}
