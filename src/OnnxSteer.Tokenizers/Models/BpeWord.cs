namespace OnnxSteer.Tokenizers;

/// <summary>A piece while BPE merges it: a linked list of symbols, and the possible merges in a queue, earliest rank first.</summary>
internal sealed class BpeWord(int capacity)
{
    private const int None = -1;

    private readonly Symbol[] symbols = new Symbol[capacity];
    private int count;

    public void Add(int id, int start, int end)
    {
        symbols[count] = new Symbol { Id = id, Start = start, End = end, Previous = count - 1, Next = None };
        if (count > 0)
            symbols[count - 1].Next = count;
        count++;
    }

    public void MergeAll(MergeTable table)
    {
        // Of equal ranks the leftmost pair merges first.
        var queue = new PriorityQueue<int, ulong>(count);
        void Enqueue(int position)
        {
            if (table.TryGet(symbols[position].Id, symbols[symbols[position].Next].Id, out var merge))
                queue.Enqueue(merge.Id, ((ulong)(uint)merge.Rank << 32) | (uint)position);
        }

        for (var i = 0; i + 1 < count; i++)
            Enqueue(i);
        while (queue.TryDequeue(out var id, out var priority))
        {
            var position = (int)(uint)priority;
            ref var left = ref symbols[position];
            if (left.IsMerged || left.Next == None)
                continue;
            ref var right = ref symbols[left.Next];

            // One of the two may have merged with another neighbour since.
            if (!table.TryGet(left.Id, right.Id, out var merge) || merge.Id != id)
                continue;
            left.Id = id;
            left.End = right.End;
            left.Next = right.Next;
            right.IsMerged = true;
            if (left.Next != None)
            {
                symbols[left.Next].Previous = position;
                Enqueue(position);
            }
            if (left.Previous != None)
                Enqueue(left.Previous);
        }
    }

    public ModelToken[] ToTokens()
    {
        var tokens = new List<ModelToken>(count);
        for (var i = count == 0 ? None : 0; i != None; i = symbols[i].Next)
            tokens.Add(new ModelToken(symbols[i].Id, symbols[i].Start, symbols[i].End));
        return [.. tokens];
    }

    private struct Symbol
    {
        public int Id;
        public int Start;
        public int End;
        public int Previous;
        public int Next;
        public bool IsMerged;
    }
}
