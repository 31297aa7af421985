namespace OnnxSteer.Tokenizers;

/// <summary>A tree of texts by their UTF-16 units, in one flat hash table; a node is a number, the root 0.</summary>
internal sealed class UnitTrie
{
    public const int Root = 0;
    public const int None = -1;

    private ulong[] keys = new ulong[64];
    private int[] children = new int[64];
    private readonly List<int> valuesWhileBuilt = [None];
    private int[] values = [];
    private int shift = 64 - 6;

    /// <summary>Adds texts with values that are not negative; of two equal texts the first counts.</summary>
    public UnitTrie(IEnumerable<(string Text, int Value)> texts)
    {
        foreach (var (text, value) in texts)
        {
            var node = Root;
            foreach (var unit in text)
                node = ChildOrNew(node, unit);
            if (valuesWhileBuilt[node] == None)
                valuesWhileBuilt[node] = value;
        }
        values = [.. valuesWhileBuilt];
        valuesWhileBuilt = [];
    }

    /// <summary>The node one unit further, or <see cref="None"/>.</summary>
    public int Child(int node, char unit)
    {
        var key = Key(node, unit);
        var slot = (int)((key * 0x9E3779B97F4A7C15UL) >> shift);
        while (true)
        {
            var found = keys[slot];
            if (found == key)
                return children[slot];
            if (found == 0)
                return None;
            slot = (slot + 1) & (keys.Length - 1);
        }
    }

    /// <summary>The value of the text that ends at a node, or <see cref="None"/>.</summary>
    public int ValueOf(int node) => values[node];

    /// <summary>The node of a text, or <see cref="None"/>.</summary>
    public int Find(ReadOnlySpan<char> text)
    {
        var node = Root;
        for (var i = 0; i < text.Length && node != None; i++)
            node = Child(node, text[i]);
        return node;
    }

    // Never 0, which marks a free slot.
    private static ulong Key(int node, char unit) => (((ulong)(uint)node << 16) | unit) + 1;

    private int ChildOrNew(int node, char unit)
    {
        if (Child(node, unit) is var known and not None)
            return known;
        if (2 * (valuesWhileBuilt.Count + 1) > keys.Length)
            Grow();
        var child = valuesWhileBuilt.Count;
        valuesWhileBuilt.Add(None);
        Insert(Key(node, unit), child);
        return child;
    }

    private void Insert(ulong key, int child)
    {
        var slot = (int)((key * 0x9E3779B97F4A7C15UL) >> shift);
        while (keys[slot] != 0)
            slot = (slot + 1) & (keys.Length - 1);
        keys[slot] = key;
        children[slot] = child;
    }

    private void Grow()
    {
        var (oldKeys, oldChildren) = (keys, children);
        keys = new ulong[2 * oldKeys.Length];
        children = new int[keys.Length];
        shift--;
        for (var i = 0; i < oldKeys.Length; i++)
            if (oldKeys[i] != 0)
                Insert(oldKeys[i], oldChildren[i]);
    }
}
