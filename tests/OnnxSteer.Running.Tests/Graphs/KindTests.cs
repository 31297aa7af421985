using System.Runtime.InteropServices;
using Google.Protobuf;
using OnnxSteer.Generate;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests.Graphs;

/// <summary>Bodies of Loop and Scan, functions and bfloat16, of which there is no fixture: values in them are steered or refused with the reason.</summary>
public sealed class KindTests
{
    public static TheoryData<string> Names => [.. Kinds.All.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Values_in_bodies_are_steered_or_refused(string kind)
    {
        var model = Model.Parse(Kinds.All[kind].ToByteArray());
        var steered = 0;
        foreach (var graph in model.Graphs)
            foreach (var value in graph.Nodes.SelectMany(node => node.Outputs))
            {
                Site site;
                try
                {
                    site = SiteTable.Of(model).Find($"value:{value}");
                }
                catch (OnnxException e)
                {
                    Assert.True(graph.IsFunction ? e.Message.Contains("function", StringComparison.Ordinal) : e.Message.Contains("cannot be steered", StringComparison.Ordinal) && e.Message.Contains(value is "early" or "go" ? "bool" : "unknown", StringComparison.Ordinal), e.Message);
                    continue;
                }
                Check(model, site);
                steered++;
            }
        // All whose channels the weights, the bodies' inputs or the graph's annotations tell; results of control flow and calls are not among them.
        Assert.Equal(kind switch { "bfloat16" or "float32" => 3, "function" => 1, "loop" => 3, "loop-if" => 6, "scan" => 5, _ => 0 }, steered);
    }

    private static void Check(Model model, Site site)
    {
        var identity = Patched(model, site, 1, 0, Mode.Baked);
        var changed = Patched(model, site, 1.5f, 0.25f, Mode.Baked);
        var live = Patched(model, site, 1.5f, 0.25f, Mode.Live);
        Assert.All([identity, changed, live], patched => Assert.Equal(model.Source.ToArray(), PatchRecord.Undo(patched).Source.ToArray()));
        Assert.All([identity, changed, live], AssertSorted);
        // There is no arithmetic of bfloat16 on a processor.
        if (site.DataType == DataType.BFloat16)
            return;
        var random = new Random(3);
        using var x = OrtValue.FromMemory([.. Enumerable.Range(0, 2 * 3 * Kinds.Width).Select(_ => random.NextSingle())], 2, 3, Kinds.Width);
        var inputs = new Dictionary<string, OrtValue> { ["x"] = x };
        var expected = AnyModel.Run(model, inputs);
        Assert.Empty(AnyModel.Differing(expected, AnyModel.Run(identity, inputs)));
        var steered = AnyModel.Run(changed, inputs);
        Assert.NotEmpty(AnyModel.Differing(expected, steered));
        var baked = MemoryMarshal.Cast<byte, float>(steered["y"].Bytes);
        var dialled = MemoryMarshal.Cast<byte, float>(AnyModel.Run(live, inputs)["y"].Bytes);
        for (var i = 0; i < baked.Length; i++)
            Assert.Equal(baked[i], dialled[i], 1e-5f);
    }

    private static Model Patched(Model model, Site site, float w, float b, Mode mode) => model.Apply(Steering.Patch(model,
        new SteeringMap([new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(w, site.Channels)], [.. Enumerable.Repeat(b, site.Channels)]))]),
        new SteeringOptions { Mode = mode, AllowIdentity = true }));

    // ONNX Runtime sorts the main graph, no body.
    private static void AssertSorted(Model model)
    {
        foreach (var graph in model.Graphs.Where(graph => graph.Outer is not null))
            foreach (var node in graph.Nodes)
                Assert.All(node.Needs, name => Assert.True(graph.Producer(name) is not { } maker || maker.Index < node.Index, $"{node} reads {name} before it is made"));
    }
}
