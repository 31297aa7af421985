using System.Text.Json;

namespace OnnxSteer.Tokenizers;

internal static partial class ComponentParser
{
    /// <summary>The largest id taken; ids index arrays, so that one huge id would take up memory for nothing.</summary>
    internal const int MaximumId = (1 << 22) - 1;

    public static IModel Model(JsonPlace place)
    {
        // The oldest files of GPT-2 name no type; of the four only BPE has merges.
        var type = place["type"] is { IsNull: false } named ? named.Text() : place["merges"].IsNull ? "without a type" : "BPE";
        return type == "BPE" ? Bpe(place) : throw Unsupported(place, "model", type);
    }

    private static BpeModel Bpe(JsonPlace place)
    {
        foreach (var name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            if (place[name].Text(ifMissing: "").Length > 0)
                throw place[name].Error("a prefix or suffix of subwords is not supported");
        if (place["dropout"] is { IsNull: false } dropout && !(dropout.Value.ValueKind == JsonValueKind.Number && dropout.Value.GetDouble() == 0))
            throw dropout.Error("dropout makes the tokens random, which is not supported");
        var vocabulary = new Vocabulary(Ids(place["vocab"]));
        return new BpeModel(vocabulary, Merges(place["merges"], vocabulary), new BpeOptions(
            place["unk_token"] is { IsNull: false } unknown ? unknown.Text() : null,
            place["fuse_unk"].Flag(ifMissing: false),
            place["byte_fallback"].Flag(ifMissing: false),
            place["ignore_merges"].Flag(ifMissing: false)));
    }

    private static Dictionary<string, int> Ids(JsonPlace place)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var tokens = new Dictionary<int, string>();
        foreach (var (token, id) in place.Members())
        {
            var number = id.Number(MaximumId);
            if (!ids.TryAdd(token, number))
                throw id.Error("the token is there twice");
            if (!tokens.TryAdd(number, token))
                throw id.Error($"the id {number} is already that of '{tokens[number]}'");
        }
        return ids;
    }

    private static MergeTable Merges(JsonPlace place, Vocabulary vocabulary)
    {
        var table = new MergeTable(place.Value.ValueKind == JsonValueKind.Array ? place.Value.GetArrayLength() : 0);
        var rank = 0;
        foreach (var merge in place.Items())
        {
            var (left, right) = Parts(merge);
            if (!vocabulary.TryGetId(left, out var leftId))
                throw merge.Error($"'{left}' is not in the vocabulary");
            if (!vocabulary.TryGetId(right, out var rightId))
                throw merge.Error($"'{right}' is not in the vocabulary");
            if (!vocabulary.TryGetId($"{left}{right}", out var id))
                throw merge.Error($"'{left}{right}', into which '{left}' and '{right}' merge, is not in the vocabulary");
            table.Set(leftId, rightId, rank++, id);
        }
        return table;
    }

    private static (string Left, string Right) Parts(JsonPlace merge)
    {
        if (merge.Value.ValueKind == JsonValueKind.String)
            return merge.Text().Split(' ') is [var left, var right]
                ? (left, right)
                : throw merge.Error($"'{merge.Text()}' is not two tokens with a space between them");
        return merge.Items().ToArray() is [var first, var second]
            ? (first.Text(), second.Text())
            : throw merge.Error("expected two tokens");
    }
}
