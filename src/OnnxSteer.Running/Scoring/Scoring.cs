using System.Numerics.Tensors;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>How likely a model finds a text.</summary>
/// <param name="Nll">Sum of the negative log-likelihoods of the scored tokens, in nats.</param>
/// <param name="Tokens">How many tokens were scored.</param>
public sealed record Score(double Nll, int Tokens);

/// <summary>What scores of texts come to.</summary>
public static class Scoring
{
    /// <summary>Perplexity over all scored tokens of some texts.</summary>
    public static double Perplexity(IReadOnlyCollection<Score> scores) => Math.Exp(scores.Sum(score => score.Nll) / scores.Sum(score => score.Tokens));

    /// <summary>The negative log-likelihood of tokens by whole logits.</summary>
    internal static float[] Nll(OrtValue logits, (int Row, int At, int Id)[] tokens)
    {
        var values = new float[(int)logits.Shape[^1]];
        return [.. tokens.Select(token =>
        {
            logits.CopySingles((long)token.At * values.Length, values);
            return (float)(LogSumExp(values) - values[token.Id]);
        })];
    }

    private static double LogSumExp(float[] logits)
    {
        var largest = TensorPrimitives.Max<float>(logits);
        var sum = 0.0;
        foreach (var logit in logits)
            sum += Math.Exp((double)logit - largest);
        return largest + Math.Log(sum);
    }
}
