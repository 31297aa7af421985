using System.Collections.Immutable;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Scores against whole logits; rows against batches; models cut before their head and others.</summary>
public sealed class ScorerTests
{
    public static TheoryData<string> Everywhere => [.. Exports.Fixtures.Where(export => export.StartsWith("stories260k/", StringComparison.Ordinal) || export.StartsWith("tiny/", StringComparison.Ordinal))];

    [SharedTheory, MemberData(nameof(Everywhere))]
    public void Likelihoods_are_those_of_the_logits(string export)
    {
        var model = Exports.Open(export);
        var rows = Rows();
        using var scorer = Scorer.Open(model, Runner.OneThread);
        var scores = scorer.Score(rows);
        foreach (var (row, score) in rows.Zip(scores))
        {
            var logits = Exports.Logits(model, [row.Ids]);
            var vocabulary = logits.Length / row.Ids.Length;
            var expected = Enumerable.Range(row.From, row.Ids.Length - row.From).Sum(t => Nll(logits.AsSpan((t - 1) * vocabulary, vocabulary), row.Ids[t]));
            Assert.Equal(row.Ids.Length - row.From, score.Tokens);
            // Half precision, and integer products whose scale a batch shares, know the likelihood no better.
            var tolerance = export.Contains("fp16", StringComparison.Ordinal) || export.Contains("bf16", StringComparison.Ordinal) ? 2e-2 : export.Contains("int", StringComparison.Ordinal) ? 5e-2 : 1e-4;
            Assert.InRange((score.Nll - expected) / score.Tokens, -tolerance, tolerance);
        }
    }

    [SharedTheory, InlineData("stories260k/genai-fp32"), InlineData("stories260k/optimum"), InlineData("stories260k/dynamic-int8"), InlineData("stories260k/genai-int4")]
    public void A_row_scores_the_same_in_any_batch(string export)
    {
        using var scorer = Scorer.Open(Exports.Open(export), Runner.OneThread);
        var rows = Rows();
        foreach (var (alone, together) in rows.Select(row => scorer.Score([row])[0]).Zip(scorer.Score(rows)))
            Assert.Equal(alone.Nll, together.Nll, 1e-4);
    }

    [SharedFact]
    public void Dials_reach_body_and_head()
    {
        var model = Exports.Open("stories260k/genai-fp32");
        var map = new SteeringMap(SiteTable.Of(model).Matching("(.*o_proj|lm_head)").Select(site => new SiteTransport(site.Name, Transport.Of(site.Name,
            [.. Enumerable.Repeat(1.1f, site.Channels)], [.. Enumerable.Repeat(0f, site.Channels)]))));
        using var live = Scorer.Open(Exports.Patch(model, map, Mode.Live, 0), Runner.OneThread);
        using var baked = Scorer.Open(Exports.Patch(model, map, Mode.Baked, 0.7f), Runner.OneThread);
        using var plain = Scorer.Open(model, Runner.OneThread);
        foreach (var (steered, (expected, unsteered)) in live.Score(Rows(), Exports.Dial(0.7f)).Zip(baked.Score(Rows()).Zip(plain.Score(Rows()))))
        {
            Assert.Equal(expected.Nll, steered.Nll, 1e-3);
            Assert.NotEqual(unsteered.Nll, steered.Nll, 1e-2);
        }
    }

    [Theory, InlineData(10, 4, 2), InlineData(10, 10, 5), InlineData(9, 4, 4), InlineData(3, 8, 4), InlineData(1, 4, 2)]
    public void Windows_score_every_token_once(int length, int window, int stride)
    {
        var row = new ScoredRow([.. Enumerable.Range(0, length)]);
        var scored = row.Windows(window, stride).SelectMany(part => part.Ids.Skip(part.From)).ToList();
        Assert.Equal(scored.Distinct(), scored);
        // Where windows do not overlap, the first token of each has nothing before it.
        Assert.Equal(Enumerable.Range(1, length - 1).Where(t => stride < window || t % window != 0), scored);
    }

    [SharedFact]
    public void Ids_beyond_the_vocabulary_and_empty_rows_are_refused()
    {
        using var scorer = Scorer.Open(Exports.Open("stories260k/genai-fp32"));
        Assert.Contains("token id 512", Assert.Throws<Onnx.OnnxException>(() => scorer.Score([new ScoredRow([1, 512])])).Message);
        Assert.Contains("no tokens", Assert.Throws<Onnx.OnnxException>(() => scorer.Score([new ScoredRow([])])).Message);
        Assert.Equal(new Score(0, 0), scorer.Score([new ScoredRow([1])])[0]);
    }

    private static ImmutableArray<ScoredRow> Rows()
    {
        var random = new Random(3);
        return [.. new[] { 2, 5, 5, 9, 17 }.Select((length, i) => new ScoredRow([1, .. Enumerable.Range(1, length - 1).Select(_ => random.Next(3, 250))], i == 3 ? 4 : 1))];
    }

    private static double Nll(ReadOnlySpan<float> logits, int id)
    {
        var sum = 0.0;
        foreach (var logit in logits)
            sum += Math.Exp((double)logit);
        return Math.Log(sum) - logits[id];
    }
}
