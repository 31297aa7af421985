using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>tokenize</c>: texts as a model's tokenizer sees them, and back.</summary>
internal static class TokenizeCommand
{
    public static Command Create(Terminal terminal)
    {
        var source = new Argument<string>("TOKENIZER") { Description = "A tokenizer.json, or a folder that holds one or whose parent does." };
        var text = new Option<string?>("--text") { Description = "The text." };
        var file = new Option<string?>("--file") { Description = "A file: .jsonl with \"text\" (or \"ids\") in each row, else a text (or ids) a line." };
        var decode = new Option<bool>("--decode") { Description = "Turn ids into text." };
        var ids = new Option<string?>("--ids") { Description = "The ids to decode, such as 1,2,3." };
        var noSpecial = new Option<bool>("--no-special") { Description = "Without the tokens that the post-processor adds; decoding leaves special tokens out as it is." };
        var keepSpecial = new Option<bool>("--keep-special") { Description = "Decode special tokens too." };
        var asText = new Option<bool>("--special-as-text") { Description = "A special token's string in a text is text like any other." };
        var noLimits = new Option<bool>("--no-limits") { Description = "Do not cut or fill up texts as the file says." };
        var maxLength = new Option<int?>("--max-length") { Description = "Cut texts to so many tokens." };
        var json = Options.Json();
        var command = new Command("tokenize", "Shows the ids, tokens and offsets (UTF-16 units) of texts, or the text of ids.")
            { source, text, file, decode, ids, noSpecial, keepSpecial, asText, noLimits, maxLength, json };
        command.SetAction((call, cancel) =>
        {
            var decodes = call.GetValue(decode);
            var given = call.GetValue(decodes ? ids : text);
            if (given is null == call.GetValue(file) is null)
                throw new UsageException(decodes ? "Give either --ids 1,2,3 or --file FILE with --decode." : "Give either --text TEXT or --file FILE.");
            if (!decodes && call.GetValue(ids) is not null)
                throw new UsageException("--ids goes with --decode.");
            if (call.GetValue(maxLength) is <= 0)
                throw new UsageException("--max-length takes a number above 0.");
            var tokenizer = Tokenizer.Load(call.GetRequiredValue(source));
            tokenizer = call.GetValue(noLimits) ? tokenizer.WithoutLimits() : tokenizer;
            tokenizer = call.GetValue(maxLength) is { } most ? tokenizer.WithMaxLength(most) : tokenizer;
            tokenizer = call.GetValue(asText) ? tokenizer.WithSpecialTokensAsText() : tokenizer;
            foreach (var change in tokenizer.ConfigChanges)
                terminal.Error.WriteLine($"note: {change}.");
            if (decodes)
                Decode(terminal, tokenizer, Rows(given, call.GetValue(file), "ids"), !call.GetValue(keepSpecial), call.GetValue(json));
            else
                Encode(terminal, tokenizer, Rows(given, call.GetValue(file), "text"), !call.GetValue(noSpecial), call.GetValue(json));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Encode(Terminal terminal, Tokenizer tokenizer, IEnumerable<(string Text, string Place)> rows, bool addSpecial, bool asJson)
    {
        var encoded = rows.Select(row => (row.Text, Encoding: tokenizer.Encode(row.Text, addSpecial)));
        if (asJson)
        {
            terminal.Json(encoded.Select(row => new { row.Encoding.Ids, row.Encoding.Tokens, Offsets = row.Encoding.Offsets.SelectMany(range => new[] { range.Start, range.End }) }));
            return;
        }
        foreach (var (text, encoding) in encoded)
        {
            terminal.Out.WriteLine($"{encoding.Ids.Length} tokens");
            for (var i = 0; i < encoding.Ids.Length; i++)
            {
                var (start, end) = encoding.Offsets[i];
                terminal.Out.WriteLine(FormattableString.Invariant(
                    $"{encoding.Ids[i],8}  {start,6}-{end,-6}  {encoding.Tokens[i]}{(end > start ? $"  {JsonSerializer.Serialize(text[start..end], Readable)}" : "")}"));
            }
        }
    }

    private static readonly JsonSerializerOptions Readable = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static void Decode(Terminal terminal, Tokenizer tokenizer, IEnumerable<(string Text, string Place)> rows, bool skipSpecial, bool asJson)
    {
        var texts = rows.Select(row => tokenizer.Decode(Ids(row.Text, row.Place), skipSpecial));
        if (asJson)
            terminal.Json(texts.Select(text => new { Text = text }));
        else
            foreach (var text in texts)
                terminal.Out.WriteLine(text);
    }

    private static int[] Ids(string list, string place) =>
        [.. list.Trim('[', ']', ' ').Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(id =>
            int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw new UsageException($"{place}: '{id}' is no token id; whole numbers from 0 were expected, such as 1,2,3."))];

    /// <summary>The texts to work on; ids as they are written, where <paramref name="key"/> asks for them.</summary>
    private static IEnumerable<(string Text, string Place)> Rows(string? given, string? file, string key)
    {
        if (given is not null)
            return [(given, $"--{key}")];
        var isJson = file!.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase);
        return File.ReadLines(file).Select((line, index) => (Line: line, Place: $"{file}, line {index + 1}"))
            .Where(row => !isJson || row.Line.Length > 0)
            .Select(row => (isJson ? Member(row.Line, row.Place, key) : row.Line, row.Place));
    }

    private static string Member(string line, string place, string key)
    {
        try
        {
            using var row = JsonDocument.Parse(line);
            var kind = key == "ids" ? JsonValueKind.Array : JsonValueKind.String;
            return row.RootElement.ValueKind == JsonValueKind.Object && row.RootElement.TryGetProperty(key, out var member) && member.ValueKind == kind
                ? kind == JsonValueKind.Array ? member.GetRawText() : member.GetString()!
                : throw new TokenizerException($"{place}: expected an object with \"{key}\", {(kind == JsonValueKind.Array ? "a list of token ids" : "a string")}.");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new TokenizerException($"{place}: {exception.Message}", exception);
        }
    }
}
