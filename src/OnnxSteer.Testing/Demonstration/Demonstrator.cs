using System.Collections.Immutable;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;
using OnnxSteer.Running;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Testing;

/// <summary>The whole way once, on the small story model: sites, fit, steered graph, texts, measurement, proof.</summary>
public static class Demonstrator
{
    private const int ShownTexts = 4, DrawsPerOpening = 5, NewTokens = 96, BatchSize = 50;

    private static readonly SessionOptions Session = new() { IntraOpThreads = 1, LogSeverity = LogSeverity.Error };
    private static readonly Sampling Draws = new(Temperature: 0.7f, TopP: 0.9f);

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

        // Of the two, the builder's graph has far fewer nodes; both write the same texts.
        using var decoder = Decoder.Open(ModelFile.Open(steeredGenai), Session);
        using var scorer = Scorer.Open(ModelFile.Open(steeredGenai), Session);
        step("generating and measuring");
        ImmutableArray<float> strengths = [0, 0.5f, 1];
        var writer = new Writer(decoder, scorer, tokenizer, trait, cancel);
        var greedy = strengths.Select(strength => writer.Greedy(strength, writer.Openings)).ToList();
        var measurements = strengths.Select((strength, i) => writer.Measure($"strength {strength}", strength, writer.Openings, greedy[i], isScored: true)).ToList();
        var asked = writer.Openings.Select(opening => $"{trait.Asking} {opening}").ToList();
        measurements.Add(writer.Measure("asking for it", 0, asked, writer.Greedy(0, asked), isScored: false));
        var texts = writer.Openings.Take(ShownTexts).Select((opening, i) => new SideBySide(opening, [.. greedy.Select(column => column[i])]));

        step("proving");
        var rows = TokenizedPrompts.Of(PromptSet.Of(writer.Openings.Take(ShownTexts)), () => tokenizer).Rows;
        var proof = SteeringProof.Check(model, fit.Map, rows, Session, cancel);
        return new DemonstrationResult(trait, description, fit, strengths, [.. texts], [.. measurements], proof, mapFile, [steered, steeredGenai]);
    }

    private sealed class Writer(Decoder decoder, Scorer scorer, Tokenizer tokenizer, Trait trait, CancellationToken cancel)
    {
        public IReadOnlyList<string> Openings { get; } = [.. trait.Openings.Select(opening => opening.Text!)];

        /// <summary>One continuation of each prompt, of the likeliest tokens.</summary>
        public string[] Greedy(float strength, IReadOnlyList<string> prompts) => Write(prompts, strength, null);

        public Measurement Measure(string label, float strength, IReadOnlyList<string> prompts, IReadOnlyList<string> greedy, bool isScored)
        {
            var texts = Write([.. Enumerable.Repeat(prompts, DrawsPerOpening).SelectMany(all => all)], strength, Draws);
            var neutral = TokenizedPrompts.Of(trait.Neutral, () => tokenizer).Rows;
            return new Measurement(label, Share(texts, trait.IsIn), Share(greedy, trait.IsIn),
                isScored ? Scoring.Perplexity(scorer.Score([.. neutral.Select(row => new ScoredRow(row))], Dial(strength), cancel: cancel)) : null, Share(texts, Repeats));
        }

        private string[] Write(IReadOnlyList<string> prompts, float strength, Sampling? draws)
        {
            var tokens = TokenizedPrompts.Of(PromptSet.Of(prompts), () => tokenizer);
            var options = new GenerationOptions { MaxNewTokens = NewTokens, Sampling = draws, Dials = Dial(strength) };
            return [.. decoder.Texts(tokenizer, tokens, options, BatchSize, cancel: cancel).Select((text, i) => Continuation(tokens.Rows[i], text.Completion.Ids))];
        }

        // Decoded with what stands before it: alone, a text loses its first space.
        private string Continuation(ImmutableArray<int> before, ImmutableArray<int> ids) =>
            tokenizer.Decode(before.AddRange(ids).AsSpan())[tokenizer.Decode(before.AsSpan()).Length..];

        private static Dictionary<string, float[]> Dial(float strength) => new() { [Steering.DialOf("")] = [strength] };

        private static Proportion Share(IReadOnlyList<string> texts, Func<string, bool> has) => new(texts.Count(has), texts.Count);
    }

    private static bool Repeats(string text)
    {
        var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return Enumerable.Range(0, Math.Max(0, words.Length - 3)).GroupBy(i => string.Join(' ', words[i..(i + 4)])).Any(group => group.Count() >= 3);
    }
}
