using System.Globalization;
using System.Text;
using System.Text.Unicode;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Where the parts of a prompt stand in a row: columns of a <c>.csv</c> file, or keys of a <c>.jsonl</c> row.</summary>
/// <param name="Text">The text; null for <c>text</c>.</param>
/// <param name="Label">Which population the row belongs to; null for none.</param>
/// <param name="Weight">How many samples the row stands for; null for 1.</param>
public sealed record PromptColumns(string? Text = null, string? Label = null, string? Weight = null);

/// <summary>
/// Reads prompts from UTF-8 files, with or without a byte order mark, with LF or CRLF line ends:
/// <list type="bullet">
/// <item><c>.txt</c>: one a line, spaces kept; lines of nothing but white space are skipped.</item>
/// <item><c>.jsonl</c>: one object a line, with <c>"text"</c> (or <c>"completion"</c>), ready token ids in <c>"ids"</c>, or both; with
/// <c>"prompt"</c>, text or ids, what stands before, whose tokens do not count; or a conversation in <c>"messages"</c>; other keys are left alone, empty lines skipped.</item>
/// <item><c>.csv</c>: comma-separated with a header line (RFC 4180); the text is in the column <c>text</c>.</item>
/// </list>
/// </summary>
public static class PromptFile
{
    /// <summary>The largest file that is read, in bytes; prompts are held in memory.</summary>
    public const long MaximumLength = 1 << 28;

    /// <summary>The largest weight of a prompt, which stands for so many samples.</summary>
    public const int MaximumWeight = 1000;

    internal const string DefaultColumn = "text", Completion = "completion", Opening = "prompt";

    /// <summary>Reads a file of prompts.</summary>
    /// <param name="path">A <c>.txt</c>, <c>.jsonl</c> or <c>.csv</c> file.</param>
    /// <param name="column">The column, or the key of a row, that holds the text; <c>text</c> by default. A <c>.txt</c> file has
    /// none.</param>
    /// <exception cref="OnnxException">The file is absent, too large, not UTF-8, malformed or without prompts; the message names
    /// the line.</exception>
    public static PromptSet Read(string path, string? column = null) => Read(path, new PromptColumns(column));

    /// <summary>Reads a file of prompts with labels or weights.</summary>
    /// <param name="path">A <c>.txt</c>, <c>.jsonl</c> or <c>.csv</c> file.</param>
    /// <param name="columns">The columns, or the keys of a row.</param>
    /// <exception cref="OnnxException">As for texts alone; or a row has no label, or no weight from 1 to <see cref="MaximumWeight"/>.</exception>
    public static PromptSet Read(string path, PromptColumns columns)
    {
        var extension = Path.GetExtension(path).ToLowerInvariant();
        if (extension == ".txt" && (columns.Text ?? columns.Label ?? columns.Weight) is { } column)
            throw new OnnxException($"'{path}' is plain text and has no column '{column}'; leave the column out, or give a .csv "
                + "or .jsonl file.");
        IEnumerable<Prompt> prompts = extension switch
        {
            ".txt" => ReadLines(Text(path)),
            ".jsonl" => JsonPrompts.Read(path, Text(path), columns),
            ".csv" => CsvPrompts.Read(path, Text(path), columns),
            _ => throw new OnnxException($"'{path}' ends with '{extension}'; expected prompts as .txt (one a line), .jsonl or "
                + ".csv."),
        };
        var set = new PromptSet(prompts);
        return set.Count > 0 ? set : throw new OnnxException($"'{path}' holds no prompts; expected at least one.");
    }

    /// <summary>A weight as it stands in a file.</summary>
    internal static int Weight(string path, int line, string text)
        => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var weight) && weight is > 0 and <= MaximumWeight ? weight
            : throw new OnnxException($"Line {line} of '{path}' has the weight '{text}'; a whole number from 1 to {MaximumWeight} was "
                + "expected: how many samples the row stands for.");

    /// <summary>The lines of a text with their numbers from 1, without their ends.</summary>
    internal static IEnumerable<(int Number, string Line)> Lines(string text)
    {
        var number = 0;
        for (var start = 0; start < text.Length;)
        {
            var end = text.IndexOf('\n', start);
            end = end < 0 ? text.Length : end;
            var length = end > start && text[end - 1] == '\r' ? end - start - 1 : end - start;
            yield return (++number, text.Substring(start, length));
            start = end + 1;
        }
    }

    private static IEnumerable<Prompt> ReadLines(string text)
        => Lines(text).Where(l => !string.IsNullOrWhiteSpace(l.Line)).Select(l => new Prompt(l.Line, Line: l.Number));

    private static string Text(string path)
    {
        var bytes = Bytes(path).AsSpan();
        if (bytes.StartsWith((ReadOnlySpan<byte>)[0xff, 0xfe]) || bytes.StartsWith((ReadOnlySpan<byte>)[0xfe, 0xff]))
            throw new OnnxException($"'{path}' is UTF-16; save it as UTF-8.");
        if (bytes.StartsWith(Encoding.UTF8.Preamble))
            bytes = bytes[Encoding.UTF8.Preamble.Length..];
        if (bytes.IndexOf((byte)0) is var zero and >= 0)
            throw new OnnxException($"'{path}' holds a zero byte in line {LineOf(bytes, zero)}; expected text in UTF-8.");
        if (!Utf8.IsValid(bytes))
        {
            var bad = FirstInvalid(bytes);
            throw new OnnxException($"'{path}' is not UTF-8: byte 0x{bytes[bad]:x2} in line {LineOf(bytes, bad)}. Save it as "
                + "UTF-8.");
        }
        return Encoding.UTF8.GetString(bytes);
    }

    private static byte[] Bytes(string path)
    {
        try
        {
            // A pipe has no length either, and opening one may wait for ever.
            if (new FileInfo(path) is { Exists: true, Length: 0 })
                throw new OnnxException($"'{path}' holds no prompts: it is empty, or no regular file.");
            using var stream = File.OpenRead(path);
            if (stream.Length > MaximumLength)
                throw new OnnxException($"'{path}' is {stream.Length} bytes long; prompts may take up to {MaximumLength}. Split "
                    + "the file, or take a sample of it.");
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception cause) when (cause is IOException or UnauthorizedAccessException)
        {
            throw new OnnxException(
                Directory.Exists(path)
                    ? $"'{path}' is a folder; expected a file of prompts."
                    : $"'{path}' cannot be read: {cause.Message}", cause);
        }
    }

    private static int FirstInvalid(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out var length) == System.Buffers.OperationStatus.Done)
            at += length;
        return at;
    }

    private static int LineOf(ReadOnlySpan<byte> bytes, int position) => 1 + bytes[..position].Count((byte)'\n');
}
