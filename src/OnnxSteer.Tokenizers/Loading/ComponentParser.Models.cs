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

    // The two long lists of a file: the place of an entry is spelt out only where it is wrong.
    private static Dictionary<string, int> Ids(JsonPlace place)
    {
        place.Expect(JsonValueKind.Object);
        var ids = new Dictionary<string, int>(place.Value.GetPropertyCount(), StringComparer.Ordinal);
        var taken = new HashSet<int>(place.Value.GetPropertyCount());
        foreach (var member in place.Value.EnumerateObject())
        {
            var token = member.Name;
            if (member.Value.ValueKind != JsonValueKind.Number || !member.Value.TryGetInt32(out var id) || id is < 0 or > MaximumId)
                throw place.Error($"the id of '{token}' is {member.Value}, not a whole number from 0 to {MaximumId}");
            if (token.Length > JsonPlace.MaximumStringLength)
                throw place.Error($"a token of {token.Length} characters; at most {JsonPlace.MaximumStringLength} are taken");
            if (!ids.TryAdd(token, id))
                throw place.Error($"'{token}' is there twice");
            if (!taken.Add(id))
                throw place.Error($"'{token}' and '{ids.First(other => other.Value == id).Key}' have the same id {id}");
        }
        return ids;
    }

    private static MergeTable Merges(JsonPlace place, Vocabulary vocabulary)
    {
        place.Expect(JsonValueKind.Array);
        var table = new MergeTable(place.Value.GetArrayLength());
        var rank = 0;
        foreach (var merge in place.Value.EnumerateArray())
        {
            var (left, right) = Parts(merge) ?? throw Error("expected two tokens, as a list or with a space between them");
            if (!vocabulary.TryGetId(left, out var leftId))
                throw Error($"'{left}' is not in the vocabulary");
            if (!vocabulary.TryGetId(right, out var rightId))
                throw Error($"'{right}' is not in the vocabulary");
            if (!vocabulary.TryGetId($"{left}{right}", out var id))
                throw Error($"'{left}{right}', into which '{left}' and '{right}' merge, is not in the vocabulary");
            table.Set(leftId, rightId, rank++, id);
        }
        return table;

        TokenizerException Error(string what) => new($"{place.Path}[{rank}]: {what}");
    }

    private static (string Left, string Right)? Parts(JsonElement merge)
    {
        if (merge.ValueKind == JsonValueKind.String)
        {
            var text = merge.GetString()!;
            var space = text.IndexOf(' ', StringComparison.Ordinal);
            return space >= 0 && space == text.LastIndexOf(' ') ? (text[..space], text[(space + 1)..]) : null;
        }
        return merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2
                && merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String
            ? (merge[0].GetString()!, merge[1].GetString()!)
            : null;
    }
}
