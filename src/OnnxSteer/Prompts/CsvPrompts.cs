using CsvHelper;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Prompts of a <c>.csv</c> file.</summary>
internal static class CsvPrompts
{
    // The reader's own defaults guess the separator and mend stray quotes, which may swallow rows without a word.
    private static readonly CsvReaderOptions Options = new()
    {
        Separator = ',',
        MalformedData = CsvMalformedDataHandling.Throw,
        TrackLineNumbers = true,
    };

    public static IReadOnlyList<Prompt> Read(string path, string text, PromptColumns columns)
    {
        var prompts = new List<Prompt>();
        using var reader = CsvReader.FromText(text, Options);
        try
        {
            string[] header = [.. reader.Headers];
            if (header.Length == 0)
                return prompts;
            var column = columns.Text ?? PromptFile.DefaultColumn;
            var index = Find(path, header, column);
            var label = columns.Label is { } name ? Find(path, header, name) : -1;
            var weight = columns.Weight is { } other ? Find(path, header, other) : -1;
            while (reader.Read())
            {
                var prompt = ReadRow(path, reader, header.Length, index, column);
                prompts.Add(prompt with
                {
                    Label = label < 0 ? null : reader.GetString(label),
                    Weight = weight < 0 ? 1 : PromptFile.Weight(path, prompt.Line, reader.GetString(weight)),
                });
            }
            return prompts;
        }
        catch (CsvFormatException cause)
        {
            throw new OnnxException($"Line {cause.LineNumber} of '{path}' has a stray quote, or one that is not closed; put "
                + "quotes around the field and "
                + "write those inside twice.", cause);
        }
    }

    private static Prompt ReadRow(string path, CsvReader reader, int columns, int index, string column)
    {
        var line = (int)reader.LineNumber;
        if (reader.FieldCount != columns)
            throw new OnnxException($"Line {line} of '{path}' has {reader.FieldCount} columns, but the header has {columns}; "
                + "put quotes around text with "
                + "commas or line ends.");
        var text = reader.GetString(index);
        return text.Length > 0
            ? new Prompt(text, Line: line)
            : throw new OnnxException($"Line {line} of '{path}' has no text in column '{column}'.");
    }

    private static int Find(string path, string[] header, string column)
    {
        var index = Array.IndexOf(header, column);
        if (index < 0)
            throw new OnnxException($"'{path}' has no column '{column}'; its columns are "
                + $"{string.Join(", ", header.Select(h => $"'{h}'"))}. Name one of them.");
        return Array.LastIndexOf(header, column) == index
            ? index
            : throw new OnnxException($"'{path}' has two columns '{column}'; rename one.");
    }
}
