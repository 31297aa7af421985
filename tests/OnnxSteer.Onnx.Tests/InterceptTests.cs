using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>Taps, intercepts and pruning leave sound graphs.</summary>
public class InterceptTests
{
    [Fact]
    public void Intercepts_anywhere_leave_generated_graphs_sorted() => Seeds.Each(200, seed =>
    {
        using var model = ModelCase.Generated(seed);
        AssertIntercepts(model, new Random(seed), 0.5);
    });

    [SharedTheory]
    [MemberData(nameof(ModelCase.SharedModels), MemberType = typeof(ModelCase))]
    public void Intercepts_anywhere_leave_exported_graphs_as_sorted_as_they_were(string path)
    {
        using var model = ModelCase.Shared(path);
        AssertIntercepts(model, new Random(1), 0.1);
    }

    [Fact]
    public void A_node_before_a_consumer_reads_what_an_intercept_makes_behind_the_producer() => Seeds.Each(50, seed =>
    {
        using var model = ModelCase.Generated(seed);
        foreach (var graph in model.Model.Graphs)
            foreach (var (first, second) in graph.Nodes.Zip(graph.Nodes.Skip(1)))
                if (first.Outputs.LastOrDefault() is { Length: > 0 } value && second.Outputs.LastOrDefault() is { Length: > 0 } next)
                {
                    // The later one is added first: it is the place that counts.
                    var reader = new AddNode("reader", graph.Path, Anchor.Before(next), new NodeProto { OpType = "Reader", Input = { value }, Output = { "before" } });
                    var patch = GraphPatch.Empty.With(reader).Intercept(model.Model, new ValuePlace(graph.Path, value), "steer", Through("Maker"));
                    OracleGraph.AssertClosedAndSorted(ModelProto.Parser.ParseFrom(model.Model.Apply(patch).Source.ToArray()));
                }
    });

    [Fact]
    public void Two_intercepts_of_one_value_follow_each_other()
    {
        using var model = ModelCase.Generated(3);
        var place = new ValuePlace(Graph.MainPath, model.Model.Graph.Nodes[0].Outputs[^1]);
        var once = model.Model.Apply(PatchTests.Titled(GraphPatch.Empty.Intercept(model.Model, place, "one", Through("One")), "one"));
        var twice = once.Apply(PatchTests.Titled(GraphPatch.Empty.Intercept(once, place, "two", Through("Two")), "two"));
        Assert.Equal("Two", twice.Graph.Producer(place.Value)!.OpType);
        Assert.Equal("One", twice.Graph.Producer(twice.Graph.Producer(place.Value)!.Inputs[0])!.OpType);
        Assert.Equal([$"{place.Value}__onnxsteer2", $"{place.Value}__onnxsteer1"],
            [twice.Graph.Producer(place.Value)!.Inputs[0], twice.Graph.Producer($"{place.Value}__onnxsteer2")!.Inputs[0]]);
        OracleGraph.AssertClosedAndSorted(ModelProto.Parser.ParseFrom(twice.Source.ToArray()));
        var untitled = model.Model.Apply(GraphPatch.Empty.Intercept(model.Model, place, "one", Through("One")));
        Assert.Equal("One", untitled.Apply(GraphPatch.Empty.Intercept(untitled, place, "two", Through("Two"))).Graph.Producer($"{place.Value}__onnxsteer2")!.OpType);
    }

    [Fact]
    public void One_patch_cannot_intercept_a_value_twice()
    {
        using var model = ModelCase.Generated(3);
        var place = new ValuePlace(Graph.MainPath, model.Model.Graph.Nodes[0].Outputs[^1]);
        var patch = GraphPatch.Empty.Intercept(model.Model, place, "one", Through("One")).Intercept(model.Model, place, "two", Through("Two"));
        Assert.Contains(place.Value, Assert.Throws<OnnxException>(() => model.Model.Apply(patch)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Edits_that_collide_are_refused()
    {
        using var model = ModelCase.First(model => model.Graph.Nodes[0] is { Outputs.Length: > 0 } && !model.Graph.ValueInfos.IsEmpty && model.Graphs.Any(graph => graph.Outer == model.Graph));
        var (graph, node) = (model.Model.Graph, model.Model.Graph.Nodes[0]);
        var value = node.Outputs[^1];
        var inner = model.Model.Graphs.First(other => other.Outer == graph);
        Refused("second value", new AddNode("x", Graph.MainPath, Anchor.Start, new NodeProto { Output = { value } }));
        Refused("second value", new AddInitializer("x", inner.Path, new TensorProto { Name = value }));
        Refused("second value", new AddInitializer("x", Graph.MainPath, new TensorProto { Name = inner.Nodes[0].Outputs[^1] }));
        Refused("second time", new AddOutput("x", new ValueInfoProto { Name = graph.Outputs[0].Name }));
        Refused("second time", new AddInput("x", new ValueInfoProto { Name = graph.Inputs[0].Name }));
        Refused("same bytes", new RenameOutput("x", Graph.MainPath, value, "new"), new Remove("x", Graph.MainPath, Part.Node, 0));
        Refused("same bytes", new Remove("x", Graph.MainPath, Part.Output, 0), new Remove("x", Graph.MainPath, Part.Output, 0));
        Refused("same bytes", new SetIrVersion("x", 9), new SetIrVersion("x", 10));
        Refused("there already", new EnableOutput("x", Graph.MainPath, value, node.Outputs.Length - 1, "new"));
        Refused("no Node 99", new Remove("x", Graph.MainPath, Part.Node, 99));
        Refused("Nearest", new RenameOutput("x", Graph.MainPath, value + "x", "new"));
        Refused("'main'", new RenameOutput("x", "nowhere", value, "new"));
        using var function = ModelCase.First(model => !model.Functions.IsEmpty);
        Assert.Contains("Constant", Assert.Throws<OnnxException>(() =>
            function.Model.Apply(GraphPatch.Empty.With(new AddInitializer("x", function.Model.Functions[0].Path, new TensorProto { Name = "n" })))).Message, StringComparison.Ordinal);

        void Refused(string message, params Edit[] edits) =>
            Assert.Contains(message, Assert.Throws<OnnxException>(() => model.Model.Apply(GraphPatch.Empty.With(edits))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_removed_frees_its_name()
    {
        using var model = ModelCase.Generated(3);
        var name = model.Model.Graph.Initializers[0].Name;
        var patched = model.Model.Apply(GraphPatch.Empty.With(new Remove("old", Graph.MainPath, Part.Initializer, 0),
            new AddInitializer("new", Graph.MainPath, new TensorProto { Name = name, DataType = 1, Dims = { 1 }, FloatData = { 2 } })));
        Assert.Equal([2f], patched.Graph.Initializer(name)!.ToSingles());
    }

    [Fact]
    public void A_tap_declares_an_output_once() => Seeds.Each(50, seed =>
    {
        using var model = ModelCase.Generated(seed);
        var graph = model.Model.Graph;
        Assert.Equal(GraphPatch.Empty, GraphPatch.Empty.Tap(model.Model, new ValuePlace(Graph.MainPath, graph.Outputs[0].Name), "tap"));
        foreach (var value in graph.Nodes.SelectMany(node => node.Outputs).Where(name => name.Length > 0 && graph.Outputs.All(output => output.Name != name)))
        {
            var place = new ValuePlace(Graph.MainPath, value);
            var patch = GraphPatch.Empty.Tap(model.Model, place, "tap");
            Assert.Equal(patch, patch.Tap(model.Model, place, "again"));
            var tapped = model.Model.Apply(patch);
            Assert.Equal(graph.Outputs.Select(output => output.Name).Append(value), tapped.Graph.Outputs.Select(output => output.Name));
            Assert.Equal(graph.Info(value)?.Type, tapped.Graph.Outputs[^1].Type);
        }
    });

    [Fact]
    public void Patches_are_values()
    {
        using var model = ModelCase.Generated(3);
        var place = new ValuePlace(Graph.MainPath, model.Model.Graph.Nodes[0].Outputs[^1]);
        GraphPatch Make() => PatchTests.Titled(GraphPatch.Empty.Intercept(model.Model, place, "steer", Through("One")), "t");
        Assert.Equal(Make(), Make());
        Assert.Equal(Make().GetHashCode(), Make().GetHashCode());
        Assert.NotEqual(Make(), PatchTests.Titled(Make(), "other"));
        Assert.NotEqual(Make(), Make().With(new SetIrVersion("x", 9)));
        Assert.Equal(["steer: rename output", "steer: add One("], Make().ToString().Split('\n').Select((line, i) => line[..(i == 0 ? 20 : 15)]));
    }

    [Fact]
    public void Only_values_that_nodes_make_can_be_intercepted()
    {
        using var model = ModelCase.First(model => model.Graphs.Any(graph => graph.Outer is not null));
        var input = new ValuePlace(Graph.MainPath, model.Model.Graph.Inputs[0].Name);
        Assert.Contains("no node makes it", Assert.Throws<OnnxException>(() => GraphPatch.Empty.Intercept(model.Model, input, "x", Through("One"))).Message, StringComparison.Ordinal);
        var inner = model.Model.Graphs.First(graph => graph.Outer is not null);
        Assert.Contains("subgraph", Assert.Throws<OnnxException>(() => GraphPatch.Empty.Tap(model.Model, new ValuePlace(inner.Path, inner.Nodes[0].Outputs[^1]), "x")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pruned_generated_graphs_are_closed() => Seeds.Each(200, seed =>
    {
        using var model = ModelCase.Generated(seed);
        AssertPrunes(model, new Random(seed), 1);
    });

    [SharedTheory]
    [MemberData(nameof(ModelCase.SharedModels), MemberType = typeof(ModelCase))]
    public void Pruned_exported_graphs_are_closed(string path)
    {
        using var model = ModelCase.Shared(path);
        AssertPrunes(model, new Random(1), 3);
    }

    [Fact]
    public void Pruning_wants_outputs_that_there_are()
    {
        using var model = ModelCase.Generated(3);
        Assert.Contains("Nearest", Assert.Throws<OnnxException>(() => Pruning.To(model.Model, ["nothing"])).Message, StringComparison.Ordinal);
    }

    private static Func<string, string, IEnumerable<NodeProto>> Through(string opType) => (before, after) =>
        [new NodeProto { OpType = opType, Input = { before }, Output = { after } }];

    private static void AssertIntercepts(ModelCase model, Random random, double share)
    {
        var places = model.Model.Graphs.SelectMany(graph => graph.Nodes.SelectMany(node => node.Outputs).Where(name => name.Length > 0).Select(name => new ValuePlace(graph.Path, name)))
            .Where(_ => random.Chance(share)).ToList();
        var patch = GraphPatch.Empty;
        foreach (var (place, index) in places.Select((place, index) => (place, index)))
            patch = patch.Intercept(model.Model, place, "steer", (before, after) =>
            [
                new NodeProto { OpType = "First", Input = { before }, Output = { $"between{index}" } },
                new NodeProto { OpType = "Second", Input = { $"between{index}" }, Output = { after } },
            ]);
        var patched = model.Model.Apply(patch);
        foreach (var place in places)
        {
            var graph = patched.GraphAt(place.Graph);
            var second = graph.Producer(place.Value)!;
            var first = graph.Producer(second.Inputs[0])!;
            var producer = graph.Producer(first.Inputs[0])!;
            Assert.Equal(("First", "Second"), (first.OpType, second.OpType));
            Assert.Equal(model.Model.GraphAt(place.Graph).Producer(place.Value)!.OpType, producer.OpType);
            Assert.True(producer.Index < first.Index && first.Index < second.Index);
            // Whoever read the value still does, and comes no earlier than it did.
            foreach (var (was, now) in model.Model.GraphAt(place.Graph).Consumers(place.Value).Zip(graph.Consumers(place.Value)))
                Assert.True(now.OpType == was.OpType && now.Index > second.Index == was.Index > model.Model.GraphAt(place.Graph).Producer(place.Value)!.Index);
        }
        if (IsSorted(model.Oracle))
            OracleGraph.AssertClosedAndSorted(ModelProto.Parser.ParseFrom(patched.Source.ToArray()));
    }

    private static bool IsSorted(ModelProto model)
    {
        try
        {
            OracleGraph.AssertClosedAndSorted(model);
            return true;
        }
        catch (Xunit.Sdk.FailException)
        {
            return false;
        }
    }

    private static void AssertPrunes(ModelCase model, Random random, int taps)
    {
        var graph = model.Model.Graph;
        var values = graph.Nodes.SelectMany(node => node.Outputs).Where(name => name.Length > 0).ToList();
        var wanted = Enumerable.Range(0, taps).Select(_ => random.Pick(values)).Distinct().ToList();
        var tapped = model.Model.Apply(wanted.Aggregate(GraphPatch.Empty, (patch, value) => patch.Tap(model.Model, new ValuePlace(Graph.MainPath, value), "tap")));
        var pruned = tapped.Apply(Pruning.To(tapped, wanted));
        var proto = ModelProto.Parser.ParseFrom(pruned.Source.ToArray());
        if (IsSorted(model.Oracle))
            OracleGraph.AssertClosedAndSorted(proto);
        Assert.Empty(pruned.Graph.FreeNames);
        Assert.Subset(pruned.Graph.Outputs.Select(output => output.Name).ToHashSet(), wanted.ToHashSet());

        // Exactly the nodes that the plain way finds: whatever a kept node or one of its bodies reads is made by a kept node.
        var needed = new HashSet<string>(wanted);
        var kept = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        for (var isChanged = true; isChanged;)
        {
            isChanged = false;
            foreach (var node in model.Oracle.Graph.Node.Where(node => !kept.Contains(node) && node.Output.Any(needed.Contains)))
            {
                isChanged = kept.Add(node);
                needed.UnionWith(OracleGraph.Needs(node));
            }
        }
        Assert.Equal(model.Oracle.Graph.Node.Where(kept.Contains), proto.Graph.Node);
        Assert.Equal(model.Oracle.Graph.Initializer.Where(tensor => needed.Contains(tensor.Name)), proto.Graph.Initializer);
        var made = kept.SelectMany(node => node.Output).ToHashSet();
        Assert.Equal(tapped.Graph.Outputs.Select(output => output.Name).Where(name => made.Contains(name) || needed.Contains(name)), pruned.Graph.Outputs.Select(output => output.Name));
    }
}
