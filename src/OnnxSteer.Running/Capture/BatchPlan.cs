using System.Collections.Immutable;

namespace OnnxSteer.Running;

/// <summary>
/// Which prompts of one population share a call, decided before anything runs: prompts of like length, so that little is
/// filled up. What a row computes depends on the rows beside it in the last bits, so whoever wants equal bits keeps to one plan.
/// </summary>
/// <param name="Prompts">How many prompts are planned.</param>
/// <param name="Batches">The calls in their order: the numbers of the prompts in each, from 0. Every prompt is in one.</param>
public sealed record BatchPlan(int Prompts, ImmutableArray<ImmutableArray<int>> Batches)
{
    /// <summary>Plans the shortest first, those of one length in their order; the same lengths give the same plan.</summary>
    /// <param name="lengths">Tokens of each prompt.</param>
    /// <param name="batchSize">Prompts in one call; the last may have fewer.</param>
    public static BatchPlan Of(IEnumerable<int> lengths, int batchSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        var order = lengths.Index().OrderBy(prompt => prompt.Item).Select(prompt => prompt.Index).ToArray();
        return new BatchPlan(order.Length, [.. order.Chunk(batchSize).Select(batch => batch.ToImmutableArray())]);
    }
}
