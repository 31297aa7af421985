using System.Text.Json;
using System.Text.Json.Nodes;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Tokenizers.Tests;

/// <summary>Small tokenizers written for the tests, as the JSON of their files.</summary>
internal static class Written
{
    /// <summary>A SentencePiece-like BPE: marks for spaces, byte fallback, a token for the beginning.</summary>
    public static JsonObject Llama() => JsonNode.Parse(
        """
        {
          "version": "1.0",
          "added_tokens": [
            { "id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true },
            { "id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true }
          ],
          "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" }, { "type": "Replace", "pattern": { "String": " " }, "content": "▁" } ] },
          "pre_tokenizer": null,
          "post_processor": { "type": "TemplateProcessing",
            "single": [ { "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } } ],
            "pair": [ { "Sequence": { "id": "A", "type_id": 0 } }, { "SpecialToken": { "id": "<s>", "type_id": 1 } }, { "Sequence": { "id": "B", "type_id": 1 } } ],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } } },
          "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 } ] },
          "model": { "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "vocab": { "<unk>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "a": 5, "b": 6, "c": 7, "▁a": 8, "ab": 9, "bc": 10, "▁abc": 11 },
            "merges": [ "▁ a", "b c", ["▁a", "bc"], "a b" ] }
        }
        """)!.AsObject();

    /// <summary>A byte-level BPE with every byte and the merges of "hello".</summary>
    public static JsonObject ByteLevel()
    {
        var vocabulary = new JsonObject();
        for (var value = 0; value < 256; value++)
            vocabulary.Add(ByteUnits.UnitOf((byte)value).ToString(), value);
        foreach (var (token, index) in new[] { "he", "ll", "hell", "hello", "Ġhello" }.Select((token, index) => (token, index)))
            vocabulary.Add(token, 256 + index);
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["pre_tokenizer"] = JsonNode.Parse("""{ "type": "ByteLevel", "add_prefix_space": false }"""),
            ["decoder"] = JsonNode.Parse("""{ "type": "ByteLevel" }"""),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray("h e", "l l", "he ll", "hell o", "Ġ hello"),
            },
        };
    }

    /// <summary>The same file with one more added token.</summary>
    public static JsonObject WithAdded(this JsonObject file, int id, string content, params string[] flags)
    {
        file["added_tokens"]!.AsArray().Add(new JsonObject
        {
            ["id"] = id,
            ["content"] = content,
            ["single_word"] = flags.Contains("single_word"),
            ["lstrip"] = flags.Contains("lstrip"),
            ["rstrip"] = flags.Contains("rstrip"),
            ["normalized"] = flags.Contains("normalized"),
            ["special"] = flags.Contains("special"),
        });
        return file;
    }

    public static Tokenizer Load(this JsonNode file) => Load(file.ToJsonString(new JsonSerializerOptions { MaxDepth = 1000 }));

    public static Tokenizer Load(string json)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["tokenizer.json"], json);
        return Tokenizer.Load(folder.Path);
    }
}
