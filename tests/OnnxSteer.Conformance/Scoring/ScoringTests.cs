using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Running;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Conformance;

/// <summary>Likelihoods of SmolLM2-135M int4 against those of a plain ONNX Runtime loop, text by text and answer by answer; without quantized activations.</summary>
public sealed class ScoringTests
{
    private const string Export = "smollm2-135m/genai-int4";
    private const double NatsPerToken = 1e-3;

    // The sample that runs everywhere; all rows where everything runs.
    private static int Every => Exhaustive.IsOn ? 1 : 20;

    [SharedFact]
    public void Wikipedia_texts_score_as_in_the_reference()
    {
        using var reference = Reference();
        var texts = PromptFile.Read(Folders.InShared("data", "text", "wikipedia_sentences.csv")).Select(prompt => prompt.Text!).ToList();
        var expected = reference.RootElement.GetProperty("results").GetProperty("level0").GetProperty("perplexity").GetProperty("rows").EnumerateArray()
            .Select(row => (Row: row.GetProperty("row").GetInt32(), Nll: row.GetProperty("nll").GetDouble(), Tokens: row.GetProperty("tokens").GetInt32())).Where((_, i) => i % Every == 0).ToList();
        var tokenizer = Tokenizer.Load(Exports.FolderOf(Export));
        using var scorer = Scorer.Open(Exports.Exact(Export, evenIfMeasuredAsShipped: true));
        var scores = scorer.Score([.. expected.Select(row => new ScoredRow(tokenizer.Encode(texts[row.Row], addSpecialTokens: false).Ids).First(128))]);
        foreach (var (row, score) in expected.Zip(scores))
        {
            Assert.Equal(row.Tokens, score.Tokens);
            Assert.InRange((score.Nll - row.Nll) / row.Tokens, -NatsPerToken, NatsPerToken);
        }
    }

    [SharedFact]
    public void Answers_score_as_in_the_reference()
    {
        using var reference = Reference();
        var questions = PromptFile.Read(Folders.InShared("data", "truthfulness", "TruthfulQA.csv"), "Question").Select(prompt => prompt.Text!).ToList();
        var best = PromptFile.Read(Folders.InShared("data", "truthfulness", "TruthfulQA.csv"), "Best Answer").Select(prompt => prompt.Text!).ToList();
        var expected = reference.RootElement.GetProperty("results").GetProperty("level0").GetProperty("truthfulqa").GetProperty("questions").EnumerateArray()
            .Select(row => (Row: row.GetProperty("row").GetInt32(), LogP: row.GetProperty("correct_logp")[0].GetDouble())).Where((_, i) => i % Every == 0).ToList();
        var tokenizer = Tokenizer.Load(Exports.FolderOf(Export));
        using var scorer = Scorer.Open(Exports.Exact(Export, evenIfMeasuredAsShipped: true));
        var rows = ScoredTexts.Of(new PromptSet(expected.Select(row => new Prompt($" {best[row.Row].Trim()}") { Opening = new Prompt($"Q: {questions[row.Row]}\nA:") })), () => tokenizer);
        foreach (var (row, score) in expected.Zip(scorer.Score(rows)))
            Assert.InRange((score.Nll + row.LogP) / score.Tokens, -NatsPerToken, NatsPerToken);
    }

    private static JsonDocument Reference() => JsonDocument.Parse(File.ReadAllBytes(Folders.InShared("golden", "smollm2", "reference.json")));
}
