namespace OnnxSteer.Tokenizers;

/// <summary>The merges of a BPE model: for two neighbouring tokens, how early they merge and into what.</summary>
internal sealed class MergeTable
{
    private const ulong Empty = ulong.MaxValue;

    private readonly ulong[] pairs;
    private readonly (int Rank, int Id)[] merges;
    private readonly int shift;

    public MergeTable(int capacity)
    {
        // At most half full, so that a search ends after a step or two.
        var bits = 4;
        while (1L << bits < 2L * capacity)
            bits++;
        shift = 64 - bits;
        pairs = new ulong[1 << bits];
        merges = new (int, int)[1 << bits];
        Array.Fill(pairs, Empty);
    }

    /// <summary>Sets a merge; of two for one pair the later counts.</summary>
    public void Set(int left, int right, int rank, int id)
    {
        var slot = Slot(left, right);
        pairs[slot] = Pair(left, right);
        merges[slot] = (rank, id);
    }

    public bool TryGet(int left, int right, out (int Rank, int Id) merge)
    {
        var slot = Slot(left, right);
        merge = merges[slot];
        return pairs[slot] != Empty;
    }

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private int Slot(int left, int right)
    {
        var pair = Pair(left, right);
        var slot = (int)((pair * 0x9E3779B97F4A7C15UL) >> shift);
        while (pairs[slot] != pair && pairs[slot] != Empty)
            slot = (slot + 1) & (pairs.Length - 1);
        return slot;
    }
}
