using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace OnnxSteer.Tokenizers;

internal static partial class ComponentParser
{
    /// <summary>The largest id taken; ids index arrays, so that one huge id would take up memory for nothing.</summary>
    internal const int MaximumId = (1 << 22) - 1;

    public static IModel Model(JsonPlace place)
    {
        // The oldest files name no type; of the four only BPE has merges, only Unigram a list of pieces.
        var type = place["type"] is { IsNull: false } named ? named.Text()
            : !place["merges"].IsNull ? "BPE"
            : place["vocab"].Value.ValueKind == JsonValueKind.Array ? "Unigram"
            : place["continuing_subword_prefix"].IsNull ? "WordLevel" : "WordPiece";
        return type switch
        {
            "BPE" => Bpe(place),
            "Unigram" => Unigram(place),
            "WordLevel" => new WordLevelModel(Tokens(place["vocab"]), place["unk_token"].Text(ifMissing: "<unk>")),
            "WordPiece" => new WordPieceModel(
                Tokens(place["vocab"]),
                place["unk_token"].Text(ifMissing: "[UNK]"),
                place["continuing_subword_prefix"].Text(ifMissing: "##"),
                place["max_input_chars_per_word"] is { IsNull: false } most ? most.Number(int.MaxValue) : 100),
            _ => throw Unsupported(place, "model", type),
        };
    }

    private static BpeModel Bpe(JsonPlace place)
    {
        if (place["dropout"] is { IsNull: false } dropout && !(dropout.Value.ValueKind == JsonValueKind.Number && dropout.Value.GetDouble() == 0))
            throw dropout.Error("dropout makes the tokens random, which is not supported");
        var vocabulary = Tokens(place["vocab"]);
        var options = new BpeOptions(
            place["unk_token"] is { IsNull: false } unknown ? unknown.Text() : null,
            place["fuse_unk"].Flag(ifMissing: false),
            place["byte_fallback"].Flag(ifMissing: false),
            place["ignore_merges"].Flag(ifMissing: false),
            place["continuing_subword_prefix"].Text(ifMissing: ""),
            place["end_of_word_suffix"].Text(ifMissing: ""));
        var merges = new List<(string Left, string Right)>();
        var table = Merges(place["merges"], vocabulary, options.Prefix, merges);

        // Where the pieces are affixed or looked up whole, a part is not what it is in the whole.
        var boundary = options.IgnoreMerges || options.Prefix.Length + options.Suffix.Length > 0 ? null : WordBoundary.Of(vocabulary, merges);
        return new BpeModel(vocabulary, table, options, boundary);
    }

    private static UnigramModel Unigram(JsonPlace place)
    {
        var list = place["vocab"];
        list.Expect(JsonValueKind.Array);
        var count = list.Value.GetArrayLength();
        if (count > MaximumId + 1)
            throw list.Error($"{count} tokens; at most {MaximumId + 1} are taken");
        var ids = new Dictionary<string, int>(count, StringComparer.Ordinal);
        var (names, scores) = (new string?[count], new double[count]);
        var id = 0;
        foreach (var item in list.Value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Array || item.GetArrayLength() != 2 || item[0].ValueKind != JsonValueKind.String
                || item[1].ValueKind != JsonValueKind.Number || !double.IsFinite(scores[id] = Score(item[1].GetRawText())))
                throw list.Error($"entry {id} is not a token and its score");
            names[id] = item[0].GetString()!;
            if (names[id]!.Length > JsonPlace.MaximumStringLength)
                throw list.Error($"a token of {names[id]!.Length} characters; at most {JsonPlace.MaximumStringLength} are taken");
            ids[names[id]!] = id;
            id++;
        }
        var unknown = place["unk_id"] is { IsNull: false } given ? given.Number(count - 1) : -1;
        return new UnigramModel(new Vocabulary(ids, names), scores, unknown, place["byte_fallback"].Flag(ifMissing: false));
    }

    /// <summary>
    /// A number as the reference's JSON reader rounds it: its digits, then the division by a power of ten. Two ways through a
    /// word often have the same score but for that last bit.
    /// </summary>
    private static double Score(string text)
    {
        var (digits, exponent, at) = (0UL, 0, text[0] == '-' ? 1 : 0);
        var (isFraction, isFull) = (false, false);
        for (; at < text.Length && text[at] is not ('e' or 'E'); at++)
        {
            if (text[at] == '.')
            {
                isFraction = true;
                continue;
            }
            var digit = (ulong)(text[at] - '0');
            isFull |= digits > (ulong.MaxValue - digit) / 10;
            if (!isFull)
                digits = (digits * 10) + digit;
            exponent += isFull ? isFraction ? 0 : 1 : isFraction ? -1 : 0;
        }
        if (at < text.Length)
            exponent += int.TryParse(text.AsSpan(at + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var given) ? Math.Clamp(given, -10_000, 10_000) : 0;
        double score = digits;
        for (; exponent < -308 && score != 0; exponent += 308)
            score /= 1e308;
        var power = double.Parse($"1e{Math.Min(Math.Abs(exponent), 309)}", CultureInfo.InvariantCulture);
        score = score == 0 ? 0 : exponent < 0 ? score / power : score * power;
        return text[0] == '-' ? -score : score;
    }

    // The two long lists of a file: the place of an entry is spelt out only where it is wrong.
    private static Vocabulary Tokens(JsonPlace place)
    {
        place.Expect(JsonValueKind.Object);
        var ids = new Dictionary<string, int>(place.Value.GetPropertyCount(), StringComparer.Ordinal);
        var names = new List<string?>(place.Value.GetPropertyCount());
        foreach (var member in place.Value.EnumerateObject())
        {
            var token = member.Name;
            if (member.Value.ValueKind != JsonValueKind.Number || !member.Value.TryGetInt32(out var id) || id is < 0 or > MaximumId)
                throw place.Error($"the id of '{token}' is {member.Value}, not a whole number from 0 to {MaximumId}");
            if (token.Length > JsonPlace.MaximumStringLength)
                throw place.Error($"a token of {token.Length} characters; at most {JsonPlace.MaximumStringLength} are taken");
            if (!ids.TryAdd(token, id))
                throw place.Error($"'{token}' is there twice");
            if (id >= names.Count)
                CollectionsMarshal.SetCount(names, id + 1);
            if (names[id] is { } other)
                throw place.Error($"'{token}' and '{other}' have the same id {id}");
            names[id] = token;
        }
        return new Vocabulary(ids, [.. names]);
    }

    private static MergeTable Merges(JsonPlace place, Vocabulary vocabulary, string prefix, List<(string Left, string Right)> merges)
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
            if (right.Length < prefix.Length)
                throw Error($"'{right}' is shorter than the prefix '{prefix}'");
            if (!vocabulary.TryGetId($"{left}{right.AsSpan(prefix.Length)}", out var id))
                throw Error($"'{left}{right[prefix.Length..]}', into which '{left}' and '{right}' merge, is not in the vocabulary");
            table.Set(leftId, rightId, rank++, id);
            merges.Add((left, right));
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
