using System.Collections.Immutable;
using System.Numerics;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Sorts the nodes of a graph with intercepts into segments.</summary>
internal sealed class Schedule
{
    private const int Never = int.MaxValue;

    private readonly CausalGraph _causal;
    private readonly Graph _graph;
    private readonly List<Node> _order;

    // By node: the sites upstream of it, as bits; whether it reads constants alone; the step it runs in.
    private readonly BigInteger[] _upstream;
    private readonly bool[] _isConstant;
    private readonly int[] _step;

    // By site: the sites upstream of it; the step behind which it is fitted.
    private readonly BigInteger[] _above;
    private readonly int[] _fitted;

    public Schedule(CausalGraph causal)
    {
        (_causal, _graph) = (causal, causal.Model.Graph);
        _order = Sorted();
        (_upstream, _isConstant, _step) = (new BigInteger[_graph.Nodes.Length], new bool[_graph.Nodes.Length], new int[_graph.Nodes.Length]);
        foreach (var node in _order)
            Look(node);
        _above = [.. causal.Taps.Select(tap => tap.Parts.Aggregate(BigInteger.Zero, (sites, part) => sites | _upstream[_graph.Producer(part.Output)!.Index]))];
        _fitted = new int[_above.Length];
        for (var site = 0; site < _fitted.Length; site++)
            _fitted[site] = Bits(_above[site] & Before(site)).Select(other => _fitted[other] + 1).DefaultIfEmpty(0).Max();
    }

    /// <summary>The segments in order.</summary>
    public ImmutableArray<Segment> Segments()
    {
        var early = Enumerable.Range(0, _above.Length).Where(site => !(_above[site] & ~Before(site)).IsZero).ToDictionary(site => site, Between);
        AssignSteps(early);
        var runs = new List<(List<Node> Nodes, List<int> Sites, BigInteger Known)>();
        for (var step = 0; step <= _fitted.Max() + 1; step++)
        {
            var sites = Enumerable.Range(0, _fitted.Length).Where(site => _fitted[site] == step).ToList();
            if (_order.Where(node => _step[node.Index] == step).ToList() is { Count: > 0 } nodes)
                runs.Add((nodes, [.. sites.Where(site => !early.ContainsKey(site))], All));
            foreach (var site in sites.Where(early.ContainsKey))
                runs.Add((early[site], [site], Before(site)));
        }
        return Linked(runs);
    }

    private BigInteger All => (BigInteger.One << _above.Length) - 1;

    // The sites listed before one.
    private static BigInteger Before(int site) => (BigInteger.One << site) - 1;

    private IEnumerable<int> Bits(BigInteger sites) => Enumerable.Range(0, _causal.Taps.Length).Where(site => !(sites & (BigInteger.One << site)).IsZero);

    // Producers first; only what the pooled activations need.
    private List<Node> Sorted()
    {
        var (order, state) = (new List<Node>(), new byte[_graph.Nodes.Length]);
        var stack = new Stack<(Node Node, bool IsDone)>(_causal.Taps.Concat(_causal.Insides).SelectMany(tap => tap.Parts).Select(part => (_graph.Producer(part.Output)!, false)));
        while (stack.TryPop(out var top))
        {
            ref var mark = ref state[top.Node.Index];
            if (top.IsDone)
            {
                mark = 2;
                order.Add(top.Node);
            }
            else if (mark == 0)
            {
                mark = 1;
                stack.Push((top.Node, true));
                foreach (var producer in Producers(top.Node))
                    if (state[producer.Index] == 0)
                        stack.Push((producer, false));
                    else if (state[producer.Index] == 1)
                        throw new OnnxException($"{_causal.Model.Source.Name}: {top.Node} and {producer} need each other's values; a graph has no cycles.");
            }
        }
        return order;
    }

    private IEnumerable<Node> Producers(Node node) => node.Needs.Select(_graph.Producer).OfType<Node>();

    private void Look(Node node)
    {
        var (sites, isConstant) = (BigInteger.Zero, true);
        foreach (var name in node.Needs)
            if (_graph.Producer(name) is { } producer)
            {
                sites |= _upstream[producer.Index];
                isConstant &= _isConstant[producer.Index];
            }
            else
            {
                foreach (var site in _causal.SitesBehind(name))
                    sites |= BigInteger.One << site;
                isConstant &= _graph.Initializer(name) is not null && sites.IsZero;
            }
        // Random numbers are drawn once.
        (_upstream[node.Index], _isConstant[node.Index]) = (sites, isConstant && !node.OpType.StartsWith("Random", StringComparison.Ordinal));
    }

    // What lies between a site and those upstream of it that are fitted later.
    private List<Node> Between(int site)
    {
        var needed = _causal.Taps[site].Parts.Select(part => _graph.Producer(part.Output)!).ToHashSet();
        var nodes = new List<Node>();
        foreach (var node in Enumerable.Reverse(_order).Where(node => needed.Contains(node) && !(_upstream[node.Index] & ~Before(site)).IsZero))
        {
            nodes.Add(node);
            needed.UnionWith(Producers(node));
        }
        nodes.Reverse();
        return nodes;
    }

    private void AssignSteps(Dictionary<int, List<Node>> early)
    {
        Array.Fill(_step, Never);
        foreach (var (site, tap) in _causal.Taps.Index())
            if (early.TryGetValue(site, out var between))
                foreach (var producer in between.SelectMany(Producers).Except(between))
                    Need(producer, _fitted[site]);
            else
                foreach (var part in tap.Parts)
                    Need(_graph.Producer(part.Output)!, _fitted[site]);
        // What a map does is seen when all maps before it, and its own, are known.
        foreach (var node in _causal.Insides.SelectMany(tap => tap.Parts).Select(part => _graph.Producer(part.Output)!))
            Need(node, Bits(_upstream[node.Index]).Max(site => _fitted[site]) + 1);
        foreach (var node in Enumerable.Reverse(_order))
            if (_step[node.Index] != Never)
                foreach (var producer in Producers(node))
                    Need(producer, _step[node.Index]);

        void Need(Node node, int step)
        {
            if (!_isConstant[node.Index])
                _step[node.Index] = Math.Min(_step[node.Index], step);
        }
    }

    // Which values pass from one run to which others.
    private ImmutableArray<Segment> Linked(List<(List<Node> Nodes, List<int> Sites, BigInteger Known)> runs)
    {
        var inputs = runs.Select(run => InputsOf(run.Nodes)).ToList();
        var last = new Dictionary<string, int>();
        foreach (var (index, names) in inputs.Index())
            foreach (var name in names)
                last[name] = index;
        return [.. runs.Select((run, index) =>
        {
            var made = run.Nodes.SelectMany(node => node.Outputs).ToHashSet();
            var nodes = WithConstants(run.Nodes);
            var steered = nodes.SelectMany(node => node.Needs).SelectMany(name => _causal.SitesBehind(name)).Distinct().Where(site => !(run.Known & (BigInteger.One << site)).IsZero).Order();
            return new Segment(inputs[index], IsRepeated(run.Known) ? [] : [.. last.Where(entry => entry.Value > index && made.Contains(entry.Key)).Select(entry => entry.Key)],
                [.. inputs[index].Where(name => last[name] == index)], [.. steered.Select(site => _causal.Taps[site].Site)], [.. run.Sites.Select(site => _causal.Taps[site])],
                IsRepeated(run.Known) ? [] : [.. _causal.Insides.Where(tap => tap.Parts.All(part => made.Contains(part.Output)))]) { Nodes = nodes };
        })];
    }

    // A part that runs again under other maps leaves nothing behind.
    private bool IsRepeated(BigInteger known) => known != All;

    private ImmutableArray<string> InputsOf(List<Node> nodes)
    {
        var own = nodes.ToHashSet();
        return [.. nodes.SelectMany(node => node.Needs).Distinct().Where(name => _graph.Producer(name) is { } producer && !own.Contains(producer) && !_isConstant[producer.Index])];
    }

    private ImmutableArray<Node> WithConstants(List<Node> nodes)
    {
        var all = nodes.ToHashSet();
        var queue = new Queue<Node>(nodes);
        while (queue.TryDequeue(out var node))
            foreach (var producer in Producers(node))
                if (_isConstant[producer.Index] && all.Add(producer))
                    queue.Enqueue(producer);
        return [.. _order.Where(all.Contains)];
    }
}
