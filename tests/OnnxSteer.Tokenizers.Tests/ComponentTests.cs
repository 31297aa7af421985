using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Single components and patterns against the reference: each gives the same, or refuses to load.</summary>
public sealed class ComponentTests
{
    // The reference panics where a token has fewer characters than the decoder takes off; any sane result will do.
    private const int Panics = 2;

    [SharedTheory]
    [InlineData("normalizer", 972)]
    [InlineData("pre_tokenizer", 1565)]
    [InlineData("decoder", 272)]
    public void GivesWhatTheReferenceGives(string kind, int count)
    {
        var rows = Golden.Rows("components.jsonl").Where(row => row.Text("kind") == kind).ToList();
        Assert.Equal(count, rows.Count);
        var panics = 0;
        Golden.AllHold(rows, row =>
        {
            var config = new JsonPlace("component", row.GetProperty("config"));
            if (row.TextOrNull("load_error") is not null)
                return Refuses(() => Load(kind, config));
            if (row.TextOrNull("error") is not null)
                panics++;
            return kind switch
            {
                "normalizer" => Normalizes(ComponentParser.Normalizer(config)!, row),
                "pre_tokenizer" => PreTokenizes(ComponentParser.PreTokenizer(config)!, row),
                _ => Decodes(ComponentParser.Decoder(config)!, row),
            };
        });
        Assert.Equal(kind == "decoder" ? Panics : 0, panics);
    }

    [SharedFact]
    public void PatternsMatchWhatTheReferenceMatches()
    {
        var parsed = new Dictionary<string, RegexPattern>();
        var rows = Golden.Rows("regex_cases.jsonl");
        Assert.Equal(2497, rows.Count);
        Golden.AllHold(rows, row =>
        {
            var source = row.Text("pattern");
            if (row.TextOrNull("oracle_error") is not null)
                return Refuses(() => RegexPattern.Parse(source));
            if (!parsed.TryGetValue(source, out var pattern))
                parsed.Add(source, pattern = RegexPattern.Parse(source));
            var text = NormalizedString.Of(row.Text("text"));
            return Golden.Difference(
                "matches",
                row.Numbers("matches_utf16"),
                pattern.Matches(text.Span).Where(match => match.End > match.Start).SelectMany(match => new[] { match.Start, match.End }));
        });
    }

    private static object? Load(string kind, JsonPlace config) => kind switch
    {
        "normalizer" => ComponentParser.Normalizer(config),
        "pre_tokenizer" => ComponentParser.PreTokenizer(config),
        _ => ComponentParser.Decoder(config),
    };

    private static string? Refuses(Func<object?> load)
    {
        try
        {
            load();
            return "the reference refuses this";
        }
        catch (TokenizerException)
        {
            return null;
        }
    }

    private static string? Decodes(IDecoder decoder, JsonElement row)
    {
        var decoded = string.Concat(decoder.Decode([.. row.Texts("tokens").Select(token => token!)]));
        return row.TextOrNull("error") is null ? Golden.Difference("decoded", row.Text("output"), decoded) : null;
    }

    private static string? Normalizes(INormalizer normalizer, JsonElement row)
    {
        var normalized = normalizer.Normalize(NormalizedString.Of(row.Text("text")));
        return Golden.Difference("normalized", row.Text("output"), normalized.Span.ToString());
    }

    private static string? PreTokenizes(IPreTokenizer preTokenizer, JsonElement row)
    {
        var text = NormalizedString.Of(row.Text("text"));
        var pieces = text.IsEmpty ? [] : preTokenizer.PreTokenize([text]);
        return Golden.Difference("pieces", row.Texts("pieces"), pieces.Select(piece => piece.Span.ToString()))
            ?? Golden.Difference("offsets", row.Numbers("offsets_utf16"), pieces.SelectMany(piece =>
            {
                var (start, end) = piece.OriginalRange(0, piece.Length);
                return new[] { start, end };
            }));
    }
}
