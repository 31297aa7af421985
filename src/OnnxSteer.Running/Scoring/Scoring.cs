using System.Collections.Immutable;
using System.Numerics.Tensors;
using OnnxSteer.Onnx;

namespace OnnxSteer.Running;

/// <summary>How likely a model finds a text.</summary>
/// <param name="Nll">Sum of the negative log-likelihoods of the scored tokens, in nats.</param>
/// <param name="Tokens">How many tokens were scored: all but the first.</param>
public sealed record Score(double Nll, int Tokens);

/// <summary>Scores texts by their tokens' likelihood.</summary>
public static class Scoring
{
    /// <summary>Scores rows of token ids; the first token of each has nothing before it and is not scored.</summary>
    /// <param name="decoder">The model.</param>
    /// <param name="rows">Token ids, special tokens included.</param>
    /// <param name="dials">Values for overridable inputs by name.</param>
    /// <param name="batchSize">Rows in one call.</param>
    /// <param name="cancel">Ends the scoring.</param>
    public static IReadOnlyList<Score> Score(
        this Decoder decoder, IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? dials = null, int batchSize = 16, CancellationToken cancel = default)
    {
        var name = decoder.Signature.Logits ?? throw new OnnxException("The model has no output 'logits', so it cannot score texts.");
        var scores = new Score[rows.Count];
        foreach (var chunk in Enumerable.Range(0, rows.Count).OrderBy(i => rows[i].Length).Chunk(batchSize))
        {
            var batch = new TokenBatch([.. chunk.Select(row => rows[row])], decoder.Signature.Padding, decoder.Config.PadId);
            using var state = decoder.Start(chunk.Length, dials);
            using var logits = state.Run(batch, [name], cancel)[0];
            var vocabulary = (int)logits.Shape[^1];
            var values = new float[vocabulary];
            for (var i = 0; i < chunk.Length; i++)
            {
                var nll = 0.0;
                for (var t = 1; t < rows[chunk[i]].Length; t++)
                {
                    logits.CopySingles(((long)i * batch.Columns + batch.First(i) + t - 1) * vocabulary, values);
                    nll += LogSumExp(values) - values[rows[chunk[i]][t]];
                }
                scores[chunk[i]] = new Score(nll, rows[chunk[i]].Length - 1);
            }
        }
        return scores;
    }

    /// <summary>Perplexity over all scored tokens of some texts.</summary>
    public static double Perplexity(IReadOnlyCollection<Score> scores) => Math.Exp(scores.Sum(score => score.Nll) / scores.Sum(score => score.Tokens));

    private static double LogSumExp(float[] logits)
    {
        var largest = TensorPrimitives.Max<float>(logits);
        var sum = 0.0;
        foreach (var logit in logits)
            sum += Math.Exp((double)logit - largest);
        return largest + Math.Log(sum);
    }
}
