using System.Runtime.InteropServices;

namespace OnnxSteer.Tokenizers;

/// <summary>The merges of a BPE model: for two neighbouring tokens, how early they merge and into what.</summary>
internal sealed class MergeTable
{
    /// <summary>The rank of two tokens that do not merge.</summary>
    public const int Never = int.MaxValue;

    private readonly Merge[] merges;
    private readonly int shift;

    public MergeTable(int capacity)
    {
        // At most half full, so that a search ends after a step or two.
        var bits = 4;
        while (1L << bits < 2L * capacity)
            bits++;
        shift = 64 - bits;
        merges = new Merge[1 << bits];
        Array.Fill(merges, new Merge(-1, -1, Never, -1));
    }

    /// <summary>Sets a merge; of two for one pair the later counts.</summary>
    public void Set(int left, int right, int rank, int id) => merges[Slot(left, right)] = new Merge(left, right, rank, id);

    public (int Rank, int Id) Get(int left, int right)
    {
        ref readonly var merge = ref merges[Slot(left, right)];
        return (merge.Rank, merge.Id);
    }

    private int Slot(int left, int right)
    {
        var slot = (int)(((((ulong)(uint)left << 32) | (uint)right) * 0x9E3779B97F4A7C15UL) >> shift);
        while (merges[slot].Left is var found and >= 0 && (found != left || merges[slot].Right != right))
            slot = (slot + 1) & (merges.Length - 1);
        return slot;
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Merge(int Left, int Right, int Rank, int Id);
}
