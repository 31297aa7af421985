namespace OnnxSteer.Tokenizers;

/// <summary>
/// GPT-2's alphabet: one visible character for each byte. The printable characters of Latin-1 stand for themselves, the
/// other bytes, in order, for U+0100 and the characters after it.
/// </summary>
internal static class ByteUnits
{
    private static readonly char[] Units = MakeUnits();
    private static readonly Dictionary<char, byte> Bytes = Units.Select((unit, value) => (unit, value)).ToDictionary(pair => pair.unit, pair => (byte)pair.value);

    public static char UnitOf(byte value) => Units[value];

    public static bool TryGetByte(char unit, out byte value) => Bytes.TryGetValue(unit, out value);

    private static char[] MakeUnits()
    {
        var units = new char[256];
        var next = '\u0100';
        for (var value = 0; value < units.Length; value++)
            units[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : next++;
        return units;
    }
}
