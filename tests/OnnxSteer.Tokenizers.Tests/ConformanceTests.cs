using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

public sealed class ConformanceTests
{
    private static readonly Dictionary<string, Tokenizer> Loaded = [];

    public static TheoryData<string> Names => [.. Supported];

    private static readonly string[] Supported =
    [
        "stories260k", "smollm2-135m", "llama2",
        "bpe-bytefallback-first", "bpe-bytefallback-nosplit", "bpe-digits-grouped", "bpe-ignore-merges", "bpe-metaspace-always-fuse",
        "bpe-nounk", "deepseek-v3-trim", "gemma3-trim", "gpt2-like", "gptoss-trim", "llama3-trim", "roberta-like", "truncation-padding",
    ];

    // Drops unknown characters; the reference then gives the tokens after them in one word the offsets of earlier ones.
    private const string ShiftedOffsets = "bpe-nounk";

    [SharedTheory]
    [MemberData(nameof(Names))]
    public void Encodes(string name)
    {
        var tokenizer = Of(name);
        Golden.AllHold(Golden.Rows(name, "golden.jsonl").Where(IsWithoutTruncation), row =>
        {
            var encoding = row.TextOrNull("pair") is { } pair
                ? tokenizer.Encode(row.Text("text"), pair, row.Flag("add_special_tokens"))
                : tokenizer.Encode(row.Text("text"), row.Flag("add_special_tokens"));
            var count = row.GetProperty("ids").GetArrayLength();
            return Golden.Difference("ids", row.Numbers("ids"), encoding.Ids)
                ?? Golden.Difference("tokens", row.Texts("tokens"), encoding.Tokens)
                ?? (name == ShiftedOffsets ? null : Golden.Difference(
                    "offsets", row.Numbers("offsets_utf16"), encoding.Offsets.SelectMany(range => new[] { range.Start, range.End })))
                ?? Golden.Difference("type ids", row.Numbers("type_ids", 0, count), encoding.TypeIds)
                ?? Golden.Difference("mask", row.Numbers("special_tokens_mask", 0, count), encoding.SpecialTokensMask.Select(mask => mask ? 1 : 0));
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

    [SharedTheory]
    [InlineData("added-tokens", "'NFC'")]
    [InlineData("bpe-digits-punct", "'NFKD'")]
    [InlineData("bpe-metaspace-never-nofuse", "'NFKC'")]
    [InlineData("bpe-prefix-fuse", "model.continuing_subword_prefix")]
    [InlineData("bpe-suffix", "model.end_of_word_suffix")]
    [InlineData("clip-trim", "model.end_of_word_suffix")]
    [InlineData("qwen3-trim", "'NFC'")]
    [InlineData("minilm-wordpiece", "'WordPiece'")]
    [InlineData("wordpiece-cased", "'WordPiece'")]
    [InlineData("wordlevel", "'WordLevel'")]
    [InlineData("t5-like", "'Unigram'")]
    [InlineData("t5-legacy-like", "'Unigram'")]
    [InlineData("unigram-bytefallback", "'Unigram'")]
    [InlineData("xlmr-like", "'Unigram'")]
    public void NamesWhatItDoesNotSupport(string name, string part)
    {
        var message = Assert.Throws<TokenizerException>(() => Tokenizer.Load(Golden.TokenizerOf(name))).Message;
        Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.Contains("not supported", message, StringComparison.Ordinal);
    }

    // Truncation and padding are left to the caller.
    private static bool IsWithoutTruncation(JsonElement row) => !row.TryGetProperty("file_truncation_padding", out var made) || !made.GetBoolean();

    private static Tokenizer Of(string name)
    {
        lock (Loaded)
            return Loaded.TryGetValue(name, out var tokenizer) ? tokenizer : Loaded[name] = Tokenizer.Load(Golden.TokenizerOf(name));
    }
}
