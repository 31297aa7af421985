using System.Runtime.InteropServices;

namespace OnnxSteer.Tokenizers;

/// <summary>A piece while BPE merges it: a linked list of symbols, and for long pieces the possible merges in a queue, earliest rank first.</summary>
internal sealed class BpeWord(int capacity)
{
    private const int None = -1;

    // Up to here looking through all pairs is faster than a queue.
    private const int LongestScanned = 24;

    private Symbol[] symbols = new Symbol[Math.Max(capacity, 4)];
    private int count;

    public void Add(int id, int start, int end)
    {
        if (count == symbols.Length)
            Array.Resize(ref symbols, 2 * count);
        symbols[count] = new Symbol { Id = id, Start = start, End = end, Previous = count - 1 };
        count++;
    }

    public void MergeAll(MergeTable table)
    {
        if (count <= LongestScanned)
            Scan(table);
        else
            MergeByQueue(table);
    }

    public void AddTo(List<ModelToken> tokens, int offset)
    {
        for (var i = 0; i < count; i++)
            if (symbols[i].Id != None)
                tokens.Add(new ModelToken(symbols[i].Id, symbols[i].Start + offset, symbols[i].End + offset));
    }

    private void Scan(MergeTable table)
    {
        // Of each symbol, the merge with the next one.
        Span<(int Rank, int Id)> pairs = stackalloc (int, int)[LongestScanned];
        for (var i = 0; i + 1 < count; i++)
            pairs[i] = table.Get(symbols[i].Id, symbols[i + 1].Id);
        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i + 1 < count; i++)
                if (pairs[i].Rank < pairs[best].Rank)
                    best = i;
            if (pairs[best].Rank == MergeTable.Never)
                return;
            symbols[best].Id = pairs[best].Id;
            symbols[best].End = symbols[best + 1].End;
            count--;
            for (var i = best + 1; i < count; i++)
            {
                symbols[i] = symbols[i + 1];
                pairs[i] = pairs[i + 1];
            }
            if (best + 1 < count)
                pairs[best] = table.Get(symbols[best].Id, symbols[best + 1].Id);
            if (best > 0)
                pairs[best - 1] = table.Get(symbols[best - 1].Id, symbols[best].Id);
        }
    }

    private void MergeByQueue(MergeTable table)
    {
        // Of equal ranks the leftmost pair merges first. A merged symbol has no id; the next one is found past it.
        var queue = new PriorityQueue<int, ulong>();
        var initial = new List<(int, ulong)>();
        for (var i = 0; i + 1 < count; i++)
            if (table.Get(symbols[i].Id, symbols[i + 1].Id) is var (rank, id) && rank != MergeTable.Never)
                initial.Add((id, Priority(rank, i)));
        queue.EnqueueRange(initial);
        initial = null;
        var next = new int[count];
        for (var i = 0; i < count; i++)
            next[i] = i + 1 < count ? i + 1 : None;
        void Enqueue(int position)
        {
            var (rank, id) = table.Get(symbols[position].Id, symbols[next[position]].Id);
            if (rank != MergeTable.Never)
                queue.Enqueue(id, Priority(rank, position));
        }

        while (queue.TryDequeue(out var id, out var priority))
        {
            var position = (int)(uint)priority;
            if (symbols[position].Id == None || next[position] == None)
                continue;

            // One of the two may have merged with another neighbour since.
            var right = next[position];
            var (rank, merged) = table.Get(symbols[position].Id, symbols[right].Id);
            if (rank == MergeTable.Never || merged != id)
                continue;
            symbols[position].Id = id;
            symbols[position].End = symbols[right].End;
            symbols[right].Id = None;
            next[position] = next[right];
            if (next[position] != None)
            {
                symbols[next[position]].Previous = position;
                Enqueue(position);
            }
            if (symbols[position].Previous != None)
                Enqueue(symbols[position].Previous);
        }
    }

    private static ulong Priority(int rank, int position) => ((ulong)(uint)rank << 32) | (uint)position;

    [StructLayout(LayoutKind.Auto)]
    private struct Symbol
    {
        public int Id;
        public int Start;
        public int End;
        public int Previous;
    }
}
