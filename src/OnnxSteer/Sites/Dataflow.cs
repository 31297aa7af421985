using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace OnnxSteer;

/// <summary>
/// Which node makes and which nodes read each value of a graph. A name is looked up once; from there on values and nodes are
/// numbers in flat arrays, since graphs have hundreds of thousands of them.
/// </summary>
internal sealed class Dataflow
{
    private readonly Dictionary<string, int> _numbers;

    // By value: the node that makes it; values behind the last are made by none.
    private readonly List<int> _makers;

    // By node in file order: where its values begin, those it makes, which are numbered one after the other, and those it needs.
    private readonly int[] _made, _needed;
    private readonly List<int> _needs;

    // By value: where its readers begin.
    private readonly int[] _read;
    private readonly AuthoredNode[] _readers;
    private readonly AuthoredNode[] _nodes;
    private readonly int[] _order;

    /// <param name="nodes">The nodes in file order; each is told its position in execution order.</param>
    /// <param name="others">Values that no node need make or read.</param>
    /// <param name="count">How many values there are, about.</param>
    public Dataflow(AuthoredNode[] nodes, IEnumerable<string> others, int count)
    {
        (_nodes, _numbers, _makers) = (nodes, new Dictionary<string, int>(count), new List<int>(nodes.Length));
        (_made, _needed, _needs) = (new int[nodes.Length + 1], new int[nodes.Length + 1], new List<int>(2 * nodes.Length));
        for (var i = 0; i < nodes.Length; i++)
        {
            foreach (var name in nodes[i].Outputs)
                if (name.Length > 0 && _numbers.TryAdd(name, _makers.Count))
                    _makers.Add(i);
            _made[i + 1] = _makers.Count;
        }
        for (var i = 0; i < nodes.Length; i++)
        {
            foreach (var name in nodes[i].Inputs)
                if (name.Length > 0)
                    _needs.Add(Number(name));
            foreach (var name in nodes[i].Node.Captures)
                _needs.Add(Number(name));
            _needed[i + 1] = _needs.Count;
        }
        foreach (var name in others)
            Number(name);
        _order = ExecutionOrder();
        for (var position = 0; position < _order.Length; position++)
            nodes[_order[position]].Order = position;
        Nodes = ImmutableCollectionsMarshal.AsImmutableArray(Array.ConvertAll(_order, i => nodes[i]));
        (_read, _readers) = FindReaders();
    }

    /// <summary>The nodes, each behind those it needs, else in file order.</summary>
    public ImmutableArray<AuthoredNode> Nodes { get; }

    /// <summary>The node that makes a value, or null.</summary>
    public AuthoredNode? MakerOf(string value) => _numbers.TryGetValue(value, out var number) && number < _makers.Count ? _nodes[_makers[number]] : null;

    /// <summary>The nodes that read a value, themselves or in a subgraph, in execution order.</summary>
    public ArraySegment<AuthoredNode> ReadersOf(string value) =>
        _numbers.TryGetValue(value, out var number) ? new ArraySegment<AuthoredNode>(_readers, _read[number], _read[number + 1] - _read[number]) : ArraySegment<AuthoredNode>.Empty;

    /// <summary>No values; those of this graph can be added.</summary>
    public Values NoValues() => new(this);

    private int Number(string name)
    {
        ref var number = ref CollectionsMarshal.GetValueRefOrAddDefault(_numbers, name, out var isKnown);
        return isKnown ? number : number = _numbers.Count - 1;
    }

    private ReadOnlySpan<int> NeedsOf(int node) => CollectionsMarshal.AsSpan(_needs)[_needed[node].._needed[node + 1]];

    // Main graphs may be in any order.
    private int[] ExecutionOrder()
    {
        var (order, isInOrder) = (new int[_nodes.Length], true);
        for (var i = 0; i < order.Length; i++)
        {
            order[i] = i;
            foreach (var value in NeedsOf(i))
                isInOrder &= value >= _makers.Count || _makers[value] < i;
        }
        if (isInOrder)
            return order;
        var (placed, count, stack) = (new byte[order.Length], 0, new Stack<int>());
        for (var first = 0; first < order.Length; first++)
        {
            stack.Push(first);
            while (stack.TryPeek(out var i))
            {
                if (placed[i] == 0)
                {
                    placed[i] = 1;
                    foreach (var value in NeedsOf(i))
                        if (value < _makers.Count && placed[_makers[value]] == 0)
                            stack.Push(_makers[value]);
                }
                else if (stack.Pop() is var done && placed[done] == 1)
                {
                    placed[done] = 2;
                    order[count++] = done;
                }
            }
        }
        return order;
    }

    // Counted first, so that all lie in one array. A node that reads a value twice is one reader.
    private (int[] Starts, AuthoredNode[] Readers) FindReaders()
    {
        var (starts, last) = (new int[_numbers.Count + 1], new int[_numbers.Count]);
        ForEachRead((value, _) => starts[value + 1]++);
        for (var value = 0; value < last.Length; value++)
            starts[value + 1] += starts[value];
        var (next, readers) = (starts.AsSpan(0, last.Length).ToArray(), new AuthoredNode[starts[^1]]);
        ForEachRead((value, reader) => readers[next[value]++] = reader);
        return (starts, readers);

        void ForEachRead(Action<int, AuthoredNode> take)
        {
            Array.Fill(last, -1);
            foreach (var i in _order)
                foreach (var value in NeedsOf(i))
                    if (last[value] != i)
                    {
                        last[value] = i;
                        take(value, _nodes[i]);
                    }
        }
    }

    /// <summary>Some of a graph's values.</summary>
    public sealed class Values
    {
        private readonly Dataflow _flow;
        private readonly bool[] _isIn;

        internal Values(Dataflow flow) => (_flow, _isIn) = (flow, new bool[flow._numbers.Count]);

        public bool Contains(string value) => _flow._numbers.TryGetValue(value, out var number) && _isIn[number];

        /// <summary>Adds a value that the graph knows; any other is none of its values.</summary>
        public void Add(string value)
        {
            if (_flow._numbers.TryGetValue(value, out var number))
                _isIn[number] = true;
        }

        /// <summary>Adds all that is made from these values by nodes of a kind, on and on.</summary>
        public void Spread(Func<AuthoredNode, bool> isThrough)
        {
            foreach (var i in _flow._order)
                foreach (var value in _flow.NeedsOf(i))
                    if (_isIn[value])
                    {
                        if (isThrough(_flow._nodes[i]))
                            _isIn.AsSpan(_flow._made[i].._flow._made[i + 1]).Fill(true);
                        break;
                    }
        }
    }
}
