using System.Diagnostics;
using Google.Protobuf;

namespace OnnxSteer.Ort.Tests;

/// <summary>Alone, after all other tests: what they allocate would count.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

/// <summary>
/// Measures how much the process's resident memory has grown when a lot of work is over, after a full collection, against the
/// same after a warm-up that does a tenth of the work. The warm-up lets the managed heap, ONNX Runtime's arena and the
/// allocator's free lists reach their size. So that a loss shows, everything is large or done often enough to cost 20 MB or more
/// if it were lost each time: outputs of 4 KB, names and texts of 20 KB, small things 100,000 times.
/// </summary>
[Collection(nameof(Alone))]
public sealed class LeakTests
{
    private const int Rows = 341; // times 3 floats: 4 KB
    private const long Limit = 5 << 20;

    private static readonly string LongName = new('n', 20_000);
    private static readonly string[] X = ["x"], Y = ["y"];

    [Fact]
    public void Runs_leave_nothing_behind()
    {
        using var session = Models.FiveNodes().Open(new() { IntraOpThreads = 1 });
        var data = new float[Rows * 3];
        AssertGrowth(10_000, () =>
        {
            using var x = OrtValue.FromMemory(data, Rows, 3);
            using var outputs = session.Run(Models.Feed(("x", x)));
            Assert.Equal(Rows, outputs[0].Shape[0]);
        });
    }

    [Fact]
    public void Sessions_leave_nothing_behind()
    {
        var model = Models.FiveNodes(LongName);
        model.ProducerName = new string('p', LongName.Length);
        model.MetadataProps.Add(new Onnx.Protobuf.StringStringEntryProto { Key = LongName, Value = LongName });
        var bytes = model.ToByteArray();
        AssertGrowth(1_000, () =>
        {
            using var session = Session.Open(bytes, new() { IntraOpThreads = 1 });
            Assert.Equal(LongName, session.Metadata.Custom[LongName]);
        });
    }

    [Fact]
    public void Options_and_cancellation_leave_nothing_behind()
    {
        using var session = Models.Scaled().Open(new() { IntraOpThreads = 1 });
        using var adapter = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", 10)));
        using var cancel = new CancellationTokenSource();
        using OrtValue x = OrtValue.FromMemory(new float[3], 1, 3), y = OrtValue.FromMemory(new float[3], 1, 3);
        var options = new RunOptions { Adapters = [adapter], Tag = "a tag that is long enough to be allocated by itself" };
        AssertGrowth(100_000, () => session.Run(X, [x], Y, [y], options, cancel.Token));
    }

    [Fact]
    public void Failed_runs_leave_nothing_behind()
    {
        // The name is part of the error's text.
        using var session = Models.FiveNodes(LongName).Open(new() { IntraOpThreads = 1 });
        using var x = OrtValue.FromMemory(new float[4], 1, 4);
        AssertGrowth(5_000, () => Assert.Throws<OrtException>(() => session.Run([LongName], [x], Y, [null])));
    }

    [Fact]
    public void Bindings_adapters_strings_and_descriptions_leave_nothing_behind()
    {
        using var session = Models.FiveNodes().Open(new() { IntraOpThreads = 1 });
        var file = AdapterFile.Of(AdapterFile.Floats("scale", new float[1000]));
        var data = new float[Rows * 3];
        var text = new string('x', 4000);
        AssertGrowth(10_000, () =>
        {
            using var binding = session.CreateBinding();
            using (var x = OrtValue.FromMemory(data, Rows, 3))
                binding.BindInput("x", x);
            binding.BindOutput("y");
            binding.Run();
            using var outputs = binding.GetOutputs();
            using var adapter = Adapter.Load(file);
            using var strings = OrtValue.FromStrings([text], 1);
            Assert.Equal(text, strings.Strings()[0]);
            using var allocated = OrtValue.Allocate(ElementType.Float, 1000);
        });
    }

    [Fact]
    public void Values_that_nobody_disposes_are_collected()
    {
        using var session = Models.FiveNodes().Open(new() { IntraOpThreads = 1 });
        var data = new float[Rows * 3];
        var i = 0;
        AssertGrowth(10_000, () =>
        {
            session.Run(Models.Feed(("x", OrtValue.FromMemory(data, Rows, 3))));
            if (++i % 100 == 0)
                Collect();
        });
    }

    private static void AssertGrowth(int times, Action work)
    {
        for (var i = 0; i < times / 10; i++)
            work();
        var before = Resident();
        for (var i = 0; i < times; i++)
            work();
        var growth = Resident() - before;

        // Memory that the allocator holds back once is no leak: a leak grows again with the next round.
        for (var round = 0; growth >= Limit && round < 2; round++)
        {
            before = Resident();
            for (var i = 0; i < times; i++)
                work();
            growth = Resident() - before;
        }
        Assert.True(growth < Limit, $"{times} times grew the process by {growth / 1024} KB; less than {Limit / 1024} KB was expected.");
    }

    private static long Resident()
    {
        Collect();
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64;
    }

    private static void Collect()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
