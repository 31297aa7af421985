using System.Text.Json;

namespace OnnxSteer.Tokenizers;

internal static partial class ComponentParser
{
    /// <param name="place">Where the post-processor stands.</param>
    /// <param name="isToken">Whether an id has a token.</param>
    public static IPostProcessor? PostProcessor(JsonPlace place, Func<int, bool> isToken)
    {
        if (place.IsNull)
            return null;
        switch (place["type"].Text())
        {
            case "Sequence":
                var processors = Each(place["processors"], item => PostProcessor(item, isToken));

                // The second would take the special tokens of the first for texts.
                if (processors.Count(AddsTokens) > 1)
                    throw place.Error("more than one post-processor that adds tokens is not supported");
                return new SequencePostProcessor(processors);
            case "ByteLevel":
                return new ByteLevelPostProcessor(place["add_prefix_space"].Flag(ifMissing: true), place["trim_offsets"].Flag(ifMissing: true));
            case "BertProcessing":
                return Bert(place, isToken);
            case "RobertaProcessing":
                return Roberta(place, isToken);
            case "TemplateProcessing":
                return Template(place, isToken);
            case var type:
                throw Unsupported(place, "post-processor", type);
        }
    }

    private static bool AddsTokens(IPostProcessor processor) =>
        processor is TemplatePostProcessor || (processor is SequencePostProcessor sequence && sequence.Processors.Any(AddsTokens));

    private static SequencePostProcessor Roberta(JsonPlace place, Func<int, bool> isToken)
    {
        var (start, end) = (Special(place["cls"], isToken, 0), Special(place["sep"], isToken, 0));
        var (first, second) = (new TemplatePart(0, [], 0), new TemplatePart(1, [], 0));
        return new SequencePostProcessor(
        [
            new ByteLevelPostProcessor(place["add_prefix_space"].Flag(ifMissing: true), place["trim_offsets"].Flag(ifMissing: true)),
            new TemplatePostProcessor([start, first, end], [start, first, end, end, second, end]),
        ]);
    }

    private static TemplatePostProcessor Bert(JsonPlace place, Func<int, bool> isToken)
    {
        var (start, end) = (Special(place["cls"], isToken, 0), Special(place["sep"], isToken, 0));
        var (first, second) = (new TemplatePart(0, [], 0), new TemplatePart(1, [], 1));
        return new TemplatePostProcessor([start, first, end], [start, first, end, second, end with { TypeId = 1 }], KeepsTypeIds: true);
    }

    private static TemplatePart Special(JsonPlace pair, Func<int, bool> isToken, int typeId) => pair.Items().ToArray() is [var token, var id]
        ? new TemplatePart(null, [new EncodedToken(Known(id, isToken), token.Text(), 0, 0)], typeId)
        : throw pair.Error("expected a token and its id");

    private static TemplatePostProcessor Template(JsonPlace place, Func<int, bool> isToken)
    {
        var specials = place["special_tokens"].Members().ToDictionary(
            member => member.Name,
            member => SpecialTokens(member.Place, isToken),
            StringComparer.Ordinal);
        return new TemplatePostProcessor(Parts("single", sequences: 1), Parts("pair", sequences: 2));

        IReadOnlyList<TemplatePart> Parts(string name, int sequences) => [.. place[name].Items().Select(item =>
        {
            if (item["Sequence"] is { IsNull: false } sequence)
            {
                var index = sequence["id"].Choice(("A", 0), ("B", 1));
                return index < sequences
                    ? new TemplatePart(index, [], TypeId(sequence))
                    : throw sequence.Error("a template for one text cannot name the second");
            }
            var special = item["SpecialToken"];
            return specials.TryGetValue(special["id"].Text(), out var tokens)
                ? new TemplatePart(null, tokens, TypeId(special))
                : throw special["id"].Error($"'{special["id"].Text()}' is not among the special_tokens");
        })];

        static int TypeId(JsonPlace part) => part["type_id"].Number(int.MaxValue);
    }

    private static List<EncodedToken> SpecialTokens(JsonPlace place, Func<int, bool> isToken)
    {
        var ids = place["ids"].Items().ToList();
        var tokens = place["tokens"].Items().ToList();
        return ids.Count == tokens.Count
            ? [.. ids.Zip(tokens, (id, token) => new EncodedToken(Known(id, isToken), token.Text(), 0, 0))]
            : throw place.Error($"{ids.Count} ids for {tokens.Count} tokens");
    }

    private static int Known(JsonPlace place, Func<int, bool> isToken) =>
        place.Value.ValueKind == JsonValueKind.Number && place.Number(int.MaxValue) is var id && isToken(id)
            ? id
            : throw place.Error($"{place.Value} is the id of no token");
}
