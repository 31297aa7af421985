using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

public sealed class ConformanceTests
{
    private static readonly Dictionary<string, Tokenizer> Loaded = [];

    public static TheoryData<string> Names => [.. Golden.Tokenizers()];

    [SharedFact]
    public void NoLineIsLeftOutButTheReferencesOwnFailures()
    {
        var names = Golden.Tokenizers();
        Assert.Equal(30, names.Count);
        Assert.Equal(6761, names.Sum(name => Golden.Rows(name, "golden.jsonl").Count));
        var streams = names.SelectMany(name => Golden.Rows(name, "stream.jsonl")).ToList();
        Assert.Equal(1362, streams.Count);

        // Random ids of byte fallback that are no UTF-8: the reference throws, or takes back what it gave out.
        Assert.Equal(19, streams.Count(row => row.TryGetProperty("stream_error", out _)));
        Assert.Equal(10, streams.Count(row => !row.TryGetProperty("stream_error", out _) && row.TryGetProperty("held_back_at_end", out var held) && held.ValueKind == JsonValueKind.Null));

        // Its TextStreamer loses a space after a line break.
        Assert.Equal(2, new[] { "smollm2-135m", "llama2" }.SelectMany(name => Golden.Rows(name, "text_streamer.jsonl")).Count(row => row.TextOrNull("loses_text") is not null));
    }

    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Encodes(string name)
    {
        var tokenizer = Of(name);
        var whole = tokenizer.WithoutLimits();
        Golden.AllHold(Golden.Rows(name, "golden.jsonl"), row =>
        {
            var encoder = row.TryGetProperty("file_truncation_padding", out var made) && made.GetBoolean() ? tokenizer : whole;
            var encoding = row.TextOrNull("pair") is { } pair
                ? encoder.Encode(row.Text("text"), pair, row.Flag("add_special_tokens"))
                : encoder.Encode(row.Text("text"), row.Flag("add_special_tokens"));
            var count = row.GetProperty("ids").GetArrayLength();
            return Golden.Difference("ids", row.Numbers("ids"), encoding.Ids)
                ?? Golden.Difference("tokens", row.Texts("tokens"), encoding.Tokens)
                ?? Golden.Difference("offsets", row.Numbers("offsets_utf16"), encoding.Offsets.SelectMany(range => new[] { range.Start, range.End }))
                ?? Golden.Difference("type ids", row.Numbers("type_ids", 0, count), encoding.TypeIds)
                ?? Golden.Difference("special mask", row.Numbers("special_tokens_mask", 0, count), encoding.SpecialTokensMask.Select(mask => mask ? 1 : 0))
                ?? Golden.Difference("attention mask", row.Numbers("attention_mask", 1, count), encoding.AttentionMask.Select(mask => mask ? 1 : 0));
        });
    }

    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Decodes(string name)
    {
        var tokenizer = Of(name);
        Golden.AllHold(Golden.Rows(name, "golden.jsonl"), row =>
            Golden.Difference("decoded", row.Text("decoded"), tokenizer.Decode(row.Numbers("ids"), skipSpecialTokens: false))
            ?? Golden.Difference(
                "decoded without specials", row.TextOrNull("decoded_skip_special") ?? row.Text("decoded"), tokenizer.Decode(row.Numbers("ids"))));
    }

    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Streams(string name)
    {
        var tokenizer = Of(name);
        Golden.AllHold(Golden.Rows(name, "stream.jsonl"), row =>
        {
            var ids = row.Numbers("ids");
            var skip = row.Flag("skip_special_tokens");
            var stream = tokenizer.Stream(skip);
            var increments = ids.Select(stream.Append).ToList();
            var rest = stream.Flush();
            var decoded = Golden.Difference("decode", row.Text("text"), tokenizer.Decode(ids, skip));

            // Where the reference throws or takes back what it gave out, it is no example.
            if (row.TryGetProperty("stream_error", out _) || (row.TryGetProperty("held_back_at_end", out var held) && held.ValueKind == JsonValueKind.Null))
                return decoded;
            return decoded
                ?? Golden.Difference("increments", row.Texts("increments").Select(text => text ?? ""), increments)
                ?? Golden.Difference("rest", row.TextOrNull("held_back_at_end") ?? "", rest)
                ?? Golden.Difference("joined", row.Text("text"), string.Concat(increments) + rest);
        });
    }

    [SharedTheory]
    [InlineData("smollm2-135m")]
    [InlineData("llama2")]
    public void StreamsWholeWords(string name)
    {
        var tokenizer = Of(name);
        Golden.AllHold(Golden.Rows(name, "text_streamer.jsonl"), row =>
        {
            var stream = tokenizer.Stream(wholeWords: true);
            var increments = row.Numbers("ids").Select(stream.Append).ToList();
            var rest = stream.Flush();
            var joined = Golden.Difference("joined", tokenizer.Decode(row.Numbers("ids")), string.Concat(increments) + rest);

            // The reference loses a space after a line break here; the text itself is what counts.
            if (row.TextOrNull("loses_text") is { } whole)
                return joined ?? Golden.Difference("whole text", whole, string.Concat(increments) + rest);
            return joined
                ?? Golden.Difference("increments", row.Texts("increments"), increments)
                ?? Golden.Difference("rest", row.Text("at_end"), rest);
        });
    }

    private static Tokenizer Of(string name)
    {
        lock (Loaded)
            return Loaded.TryGetValue(name, out var tokenizer) ? tokenizer : Loaded[name] = Tokenizer.Load(Golden.TokenizerOf(name));
    }
}
