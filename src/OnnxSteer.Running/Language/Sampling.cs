using System.Numerics.Tensors;

namespace OnnxSteer.Running;

/// <summary>How the next token is drawn; null stands for greedy decoding.</summary>
/// <param name="Temperature">Divides the logits; above 0.</param>
/// <param name="TopK">Only this many of the likeliest tokens; 0 for all.</param>
/// <param name="TopP">Only the likeliest tokens that together have this probability; 1 for all.</param>
/// <param name="Seed">Each row draws from a generator of this seed and its number, so batches do not matter.</param>
public sealed record Sampling(float Temperature = 1, int TopK = 0, float TopP = 1, int Seed = 0)
{
    /// <summary>The generator of a row.</summary>
    internal Random RandomFor(int row) => new(HashCode(Seed, row));

    /// <summary>Draws a token.</summary>
    internal int Draw(ReadOnlySpan<float> logits, Random random)
    {
        var order = new int[logits.Length];
        for (var i = 0; i < order.Length; i++)
            order[i] = i;
        var keys = new float[logits.Length];
        TensorPrimitives.Negate(logits, keys);
        keys.AsSpan().Sort(order.AsSpan());
        var count = TopK > 0 ? Math.Min(TopK, order.Length) : order.Length;
        var weights = new double[count];
        var sum = 0.0;
        for (var i = 0; i < count; i++)
            sum += weights[i] = Math.Exp(((double)logits[order[i]] - logits[order[0]]) / Temperature);
        var (kept, mass) = (0, 0.0);
        while (kept < count && (kept == 0 || mass < TopP * sum))
            mass += weights[kept++];
        var at = random.NextDouble() * mass;
        for (var i = 0; i < kept; i++)
            if ((at -= weights[i]) < 0)
                return order[i];
        return order[kept - 1];
    }

    // A fixed mixture: HashCode.Combine differs from process to process.
    private static int HashCode(int seed, int row) => unchecked((int)(((ulong)(uint)seed * 0x9E3779B97F4A7C15 + (ulong)(uint)row) * 0xD1342543DE82EF95 >> 33));
}
