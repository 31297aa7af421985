using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Single components and patterns against the reference: each gives the same, or refuses to load.</summary>
public sealed class ComponentTests
{
    [SharedTheory]
    [InlineData("normalizer", "Prepend Replace Sequence")]
    [InlineData("pre_tokenizer", "ByteLevel Digits Metaspace Sequence Split WhitespaceSplit")]
    [InlineData("decoder", "ByteFallback ByteLevel Fuse Metaspace Replace Sequence Strip")]
    public void GivesWhatTheReferenceGives(string kind, string supported)
    {
        var taken = new SortedSet<string>(StringComparer.Ordinal);
        var rows = Golden.Rows("components.jsonl").Where(row => row.Text("kind") == kind && row.TextOrNull("error") is null && row.TextOrNull("load_error") is null).ToList();
        Golden.AllHold(rows, row =>
        {
            var config = new JsonPlace("component", row.GetProperty("config"));
            try
            {
                var difference = kind switch
                {
                    "normalizer" => Normalizes(ComponentParser.Normalizer(config)!, row),
                    "pre_tokenizer" => PreTokenizes(ComponentParser.PreTokenizer(config)!, row),
                    _ => Golden.Difference("decoded", row.Text("output"), string.Concat(ComponentParser.Decoder(config)!.Decode([.. row.Texts("tokens").Select(token => token!)]))),
                };
                taken.Add(row.GetProperty("config").Text("type"));
                return difference;
            }
            catch (TokenizerException refusal) when (refusal.Message.Contains("not supported", StringComparison.Ordinal))
            {
                return null;
            }
        });
        Assert.Equal(supported.Split(' '), taken);
    }

    [SharedFact]
    public void PatternsMatchWhatTheReferenceMatches()
    {
        var refused = new SortedSet<string>(StringComparer.Ordinal);
        var parsed = new Dictionary<string, RegexPattern>();
        Golden.AllHold(Golden.Rows("regex_cases.jsonl"), row =>
        {
            RegexPattern? pattern;
            try
            {
                if (!parsed.TryGetValue(row.Text("pattern"), out pattern))
                    parsed.Add(row.Text("pattern"), pattern = RegexPattern.Parse(row.Text("pattern")));
            }
            catch (TokenizerException) when (row.TryGetProperty("construct", out _))
            {
                refused.Add(row.Text("pattern"));
                return null;
            }
            var text = NormalizedString.Of(row.Text("text"));
            return Golden.Difference(
                "matches",
                row.Numbers("matches_utf16"),
                pattern.Matches(text.Span).Where(match => match.End > match.Start).SelectMany(match => new[] { match.Start, match.End }));
        });
        Assert.Equal(Refused.Order(StringComparer.Ordinal), refused);
    }

    // All that .NET understands differently, and what no file has used so far.
    private static readonly string[] Refused =
    [
        "[😀-😃]", "😀+", @"\w+", @"[\w-]+", @"\b", "(?i:k|s|ss|å|i|ß)", "(?i)straße", "(?i:ﬁ)", "(?i)[a-z]+", @"\h+", @"\H", @"\R", @"\X",
        @"\p{Han}+", @"\p{Hiragana}", @"\p{Greek}", @"\p{IsGreek}", @"\p{Alphabetic}+", @"\p{Letter}", @"\p{Emoji}", @"\p{Cs}", @"\p{^L}", @"\pL",
        "[[:alpha:]]+", "[a-z&&[^aeiou]]+", "[a-z-[aeiou]]+", "[[a-c]x]", "^b", "a$", @"\Aa|b\z", @"b\Z", @"\G.", "(?m).", "(?m:^b)", "(?s).",
        @"\x{1F600}", @"\U0001F600", @"\K", @"a\Kb", @"(?<n>a)\k<n>", @"(a)|b\1", @"\Qa.b\E", "(?x: a b )", "(?#c)a",
    ];

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
