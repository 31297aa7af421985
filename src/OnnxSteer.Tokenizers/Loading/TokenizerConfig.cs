using System.Text.Json;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// What tokenizer_config.json says beyond tokenizer.json: whether texts begin and end with the tokens of beginning and end, and
/// how long they may be. transformers puts these over what the other file's post-processor does.
/// </summary>
internal static class TokenizerConfig
{
    public const string FileName = "tokenizer_config.json";

    public static Pipeline Apply(JsonPlace place, Pipeline pipeline)
    {
        var changes = new List<string>();
        var begin = Wish(place, "add_bos_token", "bos_token", pipeline);
        var end = Wish(place, "add_eos_token", "eos_token", pipeline);
        var processor = pipeline.PostProcessor;
        if (begin is not null || end is not null)
            processor = With(processor, template => Changed(template, begin, end, changes));
        var length = place["model_max_length"];
        return pipeline with
        {
            PostProcessor = changes.Count > 0 ? processor : pipeline.PostProcessor,
            Changes = changes,

            // transformers writes 1e30 where it does not know.
            ModelMaxLength = length.Value.ValueKind == JsonValueKind.Number && length.Value.TryGetInt32(out var most) && most > 0 ? most : null,
        };
    }

    private static (bool IsWanted, EncodedToken Token, string Name)? Wish(JsonPlace place, string flag, string name, Pipeline pipeline)
    {
        if (place[flag].IsNull)
            return null;
        var isWanted = place[flag].Flag(ifMissing: false);
        var token = place[name];
        if (token.Value.ValueKind == JsonValueKind.Object)
            token = token["content"];
        if (token.IsNull)
            return isWanted ? throw place[flag].Error($"true, but there is no {name}") : null;
        if (pipeline.IdOf(token.Text()) is { } id)
            return (isWanted, new EncodedToken(id, token.Text(), 0, 0), flag);
        return isWanted ? throw token.Error($"'{token.Text()}', which {flag} wants, is no token of tokenizer.json") : null;
    }

    /// <summary>The post-processor with its template changed, or with one where it has none.</summary>
    private static IPostProcessor With(IPostProcessor? processor, Func<TemplatePostProcessor, TemplatePostProcessor> change)
    {
        var plain = new TemplatePostProcessor([new TemplatePart(0, [], 0)], [new TemplatePart(0, [], 0), new TemplatePart(1, [], 1)]);
        switch (processor)
        {
            case null:
                return change(plain);
            case TemplatePostProcessor template:
                return change(template);
            case SequencePostProcessor sequence when sequence.Processors.Any(inner => inner is TemplatePostProcessor):
                return new SequencePostProcessor([.. sequence.Processors.Select(inner => inner is TemplatePostProcessor template ? change(template) : inner)]);
            default:
                return new SequencePostProcessor([processor, change(plain)]);
        }
    }

    private static TemplatePostProcessor Changed(
        TemplatePostProcessor template, (bool IsWanted, EncodedToken Token, string Name)? begin, (bool IsWanted, EncodedToken Token, string Name)? end, List<string> changes)
    {
        var (single, pair) = (template.Single, template.Pair);
        if (begin is { } first && first.IsWanted != (single.Count > 0 && Is(single[0], first.Token)))
        {
            (single, pair) = (Around(single, first.Token, first.IsWanted, isBefore: true), Around(pair, first.Token, first.IsWanted, isBefore: true));
            changes.Add(Sentence(first, "first"));
        }
        if (end is { } last && last.IsWanted != (single.Count > 0 && Is(single[^1], last.Token)))
        {
            (single, pair) = (Around(single, last.Token, last.IsWanted, isBefore: false), Around(pair, last.Token, last.IsWanted, isBefore: false));
            changes.Add(Sentence(last, "last"));
        }
        return template with { Single = single, Pair = pair };
    }

    /// <summary>The template with a token beside each text, or without it.</summary>
    private static List<TemplatePart> Around(IReadOnlyList<TemplatePart> parts, EncodedToken token, bool isWanted, bool isBefore)
    {
        var changed = new List<TemplatePart>();
        foreach (var part in parts)
        {
            if (!isWanted && Is(part, token))
                continue;
            if (part.Sequence is null || !isWanted)
            {
                changed.Add(part);
                continue;
            }
            var special = new TemplatePart(null, [token], part.TypeId);
            changed.AddRange(isBefore ? [special, part] : [part, special]);
        }
        return changed;
    }

    private static bool Is(TemplatePart part, EncodedToken token) => part.Tokens is [var only] && only.Id == token.Id;

    private static string Sentence((bool IsWanted, EncodedToken Token, string Name) wish, string place) => wish.IsWanted
        ? $"{FileName}: {wish.Name} puts {wish.Token.Token} ({wish.Token.Id}) {place}"
        : $"{FileName}: {wish.Name} is false, so {wish.Token.Token} ({wish.Token.Id}) is left out, which tokenizer.json puts {place}";
}
