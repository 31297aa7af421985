using System.Text.Json;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>
/// The record of a patch just applied, which lacks the digest of the model before until somebody reads it: to save a model,
/// its bytes are copied while they are digested. The length is known at once, since a digest has always as many digits.
/// </summary>
internal sealed class PendingRecord(string key, PatchRecord record, ByteSource before)
{
    private const int Digits = 64;

    private readonly Lock _lock = new();
    private string? _value;

    public string Key => key;

    /// <summary>The record, without the digest.</summary>
    public PatchRecord Record => record;

    /// <summary>The metadata entry's value, the digest in it.</summary>
    public string Value(CancellationToken cancel = default)
    {
        lock (_lock)
            return _value ??= Write(before.Sha256(cancel));
    }

    /// <summary>The bytes of a model with the record's field behind them.</summary>
    public ByteSource Behind(ByteSource model) =>
        new LateTail(model, PatchWriter.MetadataField(key, Write(new string('0', Digits))).Length, () => PatchWriter.MetadataField(key, Value()));

    private string Write(string digest) => JsonSerializer.Serialize(record with { Sha256 = digest }, PatchRecordJson.Default.PatchRecord);

    private sealed class LateTail(ByteSource body, int length, Func<byte[]> tail) : ByteSource(body.Name, body.Length + length)
    {
        private byte[]? _tail;

        private protected override void ReadCore(long offset, Span<byte> destination)
        {
            var inBody = (int)Math.Clamp(body.Length - offset, 0, destination.Length);
            if (inBody > 0)
                body.Read(offset, destination[..inBody]);
            if (inBody < destination.Length)
                (_tail ??= tail()).AsSpan((int)(offset + inBody - body.Length), destination.Length - inBody).CopyTo(destination[inBody..]);
        }
    }
}
