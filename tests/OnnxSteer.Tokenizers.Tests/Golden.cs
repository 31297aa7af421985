using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>The reference library's answers, one JSON object a line.</summary>
internal static class Golden
{
    public static string TokenizerOf(string name) => Folders.InShared("golden", "tokenizers", name, "tokenizer.json");

    /// <summary>The names of all tokenizers that there are.</summary>
    public static List<string> Tokenizers() => !Directory.Exists(Folders.InShared("golden", "tokenizers")) ? [] :
        [.. Directory.GetDirectories(Folders.InShared("golden", "tokenizers")).Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    public static List<JsonElement> Rows(params string[] path) =>
        [.. File.ReadLines(Folders.InShared(["golden", "tokenizers", .. path])).Select(line => JsonDocument.Parse(line).RootElement)];

    public static string Text(this JsonElement row, string name) => row.GetProperty(name).GetString()!;

    public static string? TextOrNull(this JsonElement row, string name) => row.TryGetProperty(name, out var value) ? value.GetString() : null;

    public static bool Flag(this JsonElement row, string name) => row.GetProperty(name).GetBoolean();

    public static int[] Numbers(this JsonElement row, string name) => [.. row.GetProperty(name).EnumerateArray().Select(item => item.GetInt32())];

    public static int[] Numbers(this JsonElement row, string name, int ifMissing, int count) =>
        row.TryGetProperty(name, out _) ? row.Numbers(name) : [.. Enumerable.Repeat(ifMissing, count)];

    public static string?[] Texts(this JsonElement row, string name) => [.. row.GetProperty(name).EnumerateArray().Select(item => item.GetString())];

    /// <summary>Fails with the rows that do not hold, and fails too if there were none to look at.</summary>
    public static void AllHold(IEnumerable<JsonElement> rows, Func<JsonElement, string?> complaint)
    {
        var count = 0;
        var complaints = new List<string>();
        foreach (var row in rows)
        {
            count++;
            if (complaint(row) is { } text)
                complaints.Add($"{row.GetRawText()[..Math.Min(300, row.GetRawText().Length)]}\n    {text}");
        }
        Assert.NotEqual(0, count);
        Assert.True(complaints.Count == 0, $"{complaints.Count} of {count} rows differ:\n{string.Join('\n', complaints.Take(5))}");
    }

    public static string? Difference<T>(string what, IEnumerable<T> expected, IEnumerable<T> actual) =>
        expected.SequenceEqual(actual) ? null : $"{what}: expected [{string.Join(", ", expected)}], found [{string.Join(", ", actual)}]";
}
