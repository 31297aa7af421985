using System.Collections.Immutable;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;
using OnnxSteer.Running;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Testing;

/// <summary>The whole way once, on the small story model: sites, fit, steered graph, texts, measurement, proof.</summary>
public static class Demonstrator
{
    private const int ShownTexts = 4, DrawsPerOpening = 5, NewTokens = 80, BatchSize = 50;

    private static readonly SessionOptions Session = new() { LogSeverity = LogSeverity.Error };
    private static readonly Sampling Draws = new(Temperature: 0.8f);

    /// <summary>Runs the demonstration.</summary>
    /// <param name="models">The folder of the models that come with the program.</param>
    /// <param name="output">The folder to write to; what an earlier demonstration left there is replaced.</param>
    /// <param name="step">Told what is being done.</param>
    /// <param name="cancel">Ends it.</param>
    public static DemonstrationResult Run(string models, string output, Action<string> step, CancellationToken cancel = default)
    {
        var trait = Trait.Read(Path.Combine(models, "prompts"));
        var model = ModelFile.Open(Path.Combine(models, "stories260k", "optimum"));
        var tokenizer = TokenizedPrompts.TokenizerOf(model);

        step("looking for sites");
        var description = ModelDescription.Of(model);
        var sites = description.Table.Matching(trait.Sites);

        step("fitting");
        ActivationSet Activations(PromptSet prompts) =>
            Capture.Run(model, sites, prompts, TokenizedPrompts.Of(prompts, () => tokenizer), new CaptureOptions { Pooling = trait.Pooling, Session = Session }, null, cancel);
        var fit = Fit.Of(trait.Method, Activations(trait.Source), Activations(trait.Target), trait.Band);
        var mapFile = Path.Combine(output, "map.safetensors");
        fit.Map.Save(mapFile);

        step("writing the map into two exports of the model");
        var live = new SteeringOptions { Mode = Mode.Live, Strength = 1 };
        var save = new SaveOptions { Force = true };
        var steered = Path.Combine(output, "stories260k-steered");
        SteeredFolder.Write(model, Steering.Patch(model, fit.Map, live), steered, save, cancel);
        // The same weights in other clothes: the fingerprint differs, and it is known that the map fits.
        var genai = ModelFile.Open(Path.Combine(models, "stories260k-h16", "genai-fp32"));
        var steeredGenai = Path.Combine(output, "stories260k-steered-genai");
        SteeredFolder.Write(genai, Steering.Patch(genai, fit.Map, live with { Force = true }), steeredGenai, save, cancel);

        using var decoder = Decoder.Open(ModelFile.Open(steered), Session);
        step("generating texts");
        ImmutableArray<float> strengths = [0, 0.5f, 1];
        var texts = Show(decoder, tokenizer, trait, strengths, cancel);
        step("measuring");
        var measurements = Measure(decoder, tokenizer, trait, strengths, cancel);
        step("proving");
        var rows = TokenizedPrompts.Of(PromptSet.Of(trait.Openings.Take(4).Select(opening => opening.Text!)), () => tokenizer).Rows;
        var proof = SteeringProof.Check(model, fit.Map, rows, Session, cancel);
        return new DemonstrationResult(trait, description, fit, strengths, texts, measurements, proof, mapFile, [steered, steeredGenai]);
    }

    private static Dictionary<string, float[]> Dial(float strength) => new() { [Steering.DialOf("")] = [strength] };

    private static ImmutableArray<SideBySide> Show(Decoder decoder, Tokenizer tokenizer, Trait trait, ImmutableArray<float> strengths, CancellationToken cancel)
    {
        var openings = PromptSet.Of(trait.Openings.Take(ShownTexts).Select(opening => opening.Text!));
        var tokens = TokenizedPrompts.Of(openings, () => tokenizer);
        var texts = strengths.Select(strength => decoder.Texts(tokenizer, tokens, new GenerationOptions { MaxNewTokens = NewTokens, Dials = Dial(strength) }, cancel: cancel)).ToList();
        return [.. openings.Select((opening, i) => new SideBySide(opening.Text!, [.. texts.Select(column => Continuation(tokens.Rows[i], column[i].Completion.Ids))]))];

        // Decoded with what stands before it: alone, a text loses its first space.
        string Continuation(ImmutableArray<int> before, ImmutableArray<int> ids) =>
            tokenizer.Decode(before.AddRange(ids).AsSpan())[tokenizer.Decode(before.AsSpan()).Length..];
    }

    private static ImmutableArray<Measurement> Measure(Decoder decoder, Tokenizer tokenizer, Trait trait, ImmutableArray<float> strengths, CancellationToken cancel)
    {
        var openings = Enumerable.Repeat(trait.Openings.Select(opening => opening.Text!), DrawsPerOpening).SelectMany(texts => texts).ToList();
        var neutral = TokenizedPrompts.Of(trait.Neutral, () => tokenizer).Rows;
        Measurement At(string label, float strength, IEnumerable<string> prompts, bool scored)
        {
            var tokens = TokenizedPrompts.Of(PromptSet.Of(prompts), () => tokenizer);
            var texts = decoder.Texts(tokenizer, tokens, new GenerationOptions { MaxNewTokens = NewTokens, Sampling = Draws, Dials = Dial(strength) }, BatchSize, cancel: cancel);
            return new Measurement(label, new Proportion(texts.Count(text => trait.IsIn(text.Text)), texts.Count),
                scored ? Scoring.Perplexity(decoder.Score(neutral, Dial(strength), cancel: cancel)) : null,
                new Proportion(texts.Count(text => Repeats(text.Text)), texts.Count));
        }
        return
        [
            .. strengths.Select(strength => At($"strength {strength}", strength, openings, scored: true)),
            At("asking for it", 0, openings.Select(opening => $"{trait.Asking} {opening}"), scored: false),
        ];
    }

    private static bool Repeats(string text)
    {
        var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return Enumerable.Range(0, Math.Max(0, words.Length - 3)).GroupBy(i => string.Join(' ', words[i..(i + 4)])).Any(group => group.Count() >= 3);
    }
}
