using System.Runtime.CompilerServices;

namespace OnnxSteer.Ort.Tests;

public sealed class RunTests
{
    private static readonly string[] X = ["x"], Y = ["y"];

    [Fact]
    public void Outputs_come_in_the_order_asked_for()
    {
        using var session = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("x", ElementType.Float, "n"));
                graph.Output.Add(Models.Value("plus", ElementType.Float, "n"));
                graph.Output.Add(Models.Value("minus", ElementType.Float, "n"));
            },
            Models.Node("Identity", ["x"], ["plus"]), Models.Node("Neg", ["x"], ["minus"])).Open();
        using var x = OrtValue.FromMemory(new float[] { 1, 2 }, 2);
        using var all = session.Run(Models.Feed(("x", x)));
        Assert.Equal(["plus", "minus"], all.Names);
        Assert.Equal([-1, -2], all["minus"].Span<float>());
        using var some = session.Run(Models.Feed(("x", x)), ["minus"]);
        Assert.Equal([-1, -2], Assert.Single(some).Span<float>());
        Assert.Contains("It gave: minus", Assert.Throws<KeyNotFoundException>(() => some["plus"]).Message);
    }

    [Fact]
    public void An_output_can_be_written_in_place()
    {
        using var session = Models.Scaled().Open();
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        var place = new float[3];
        using var y = OrtValue.FromMemory(place, 1, 3);
        session.Run(X, [x], Y, [y]);
        Assert.Equal([2, 4, 6], place);

        OrtValue?[] allocated = [null];
        session.Run(X, [x], Y, allocated);
        Assert.Equal([2, 4, 6], allocated[0]!.Span<float>());
        allocated[0]!.Dispose();

        using var narrow = OrtValue.FromMemory(new float[2], 1, 2);
        OrtValue?[] wrong = [narrow];
        Assert.Throws<OrtException>(() => session.Run(X, [x], Y, wrong));
        Assert.Same(narrow, wrong[0]);
    }

    [Fact]
    public void An_output_is_the_next_input_without_copying()
    {
        using var session = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("past", ElementType.Float, 1, "past_length", 2));
                graph.Input.Add(Models.Value("new", ElementType.Float, 1, "new_length", 2));
                graph.Output.Add(Models.Value("present", ElementType.Float, 1, "total_length", 2));
            },
            Models.Node("Concat", ["past", "new"], ["present"],
                new Onnx.Protobuf.AttributeProto { Name = "axis", Type = Onnx.Protobuf.AttributeProto.Types.AttributeType.Int, I = 1 })).Open();

        // A past of length 0, as the first step of a generation has it.
        var past = OrtValue.FromMemory(Array.Empty<float>(), 1, 0, 2);
        for (var step = 0; step < 20; step++)
        {
            using var added = OrtValue.FromMemory(new float[] { step, -step }, 1, 1, 2);
            var outputs = session.Run(Models.Feed(("past", past), ("new", added)));
            past.Dispose();
            past = outputs[0];
        }
        Assert.Equal([1, 20, 2], past.Shape);
        Assert.Equal([19, -19], past.Span<float>()[38..]);
        past.Dispose();
    }

    [Fact]
    public void Tensors_without_elements_go_through()
    {
        using var session = Models.Identity(ElementType.Int64, "a", "b").Open();
        using var x = OrtValue.FromMemory(Array.Empty<long>(), 0, 5);
        using var outputs = session.Run(Models.Feed(("x", x)));
        Assert.Equal([0, 5], outputs[0].Shape);
        Assert.Equal(0, outputs[0].Span<long>().Length);
        using var place = OrtValue.FromMemory(Memory<long>.Empty, 0, 5);
        session.Run(X, [x], Y, [place]);
    }

    [Fact]
    public void An_overridable_initializer_may_be_fed()
    {
        using var session = Models.Scaled(scale: 2).Open();
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        using var scale = OrtValue.FromMemory(new float[] { 10, 100, 1000 }, 3);
        using (var outputs = session.Run(Models.Feed(("x", x), ("scale", scale))))
            Assert.Equal([10, 200, 3000], outputs["y"].Span<float>());
        using (var outputs = session.Run(Models.Feed(("x", x))))
            Assert.Equal([2, 4, 6], outputs["y"].Span<float>());
    }

    [Fact]
    public void Wrong_names_are_refused_with_the_right_ones()
    {
        using var session = Models.Scaled().Open();
        using var x = OrtValue.FromMemory(new float[3], 1, 3);
        Assert.Equal("The model has no input 'X'. It takes: x: Float[batch,3]. Optional: scale: Float[scales].",
            Assert.Throws<ArgumentException>(() => session.Run(Models.Feed(("X", x)))).Message);
        Assert.Equal("The model has no output 'z'. It has: y.",
            Assert.Throws<ArgumentException>(() => session.Run(Models.Feed(("x", x)), ["z"])).Message);
        Assert.Equal("The run lacks an input: x. It takes: x: Float[batch,3]. Optional: scale: Float[scales].",
            Assert.Throws<ArgumentException>(() => session.Run(Models.Feed(("scale", x)))).Message);
        Assert.Contains("2 input names, but 1 values",
            Assert.Throws<ArgumentException>(() => session.Run(["x", "scale"], [x], Y, [null])).Message);
        Assert.Contains("0 output names, but 1 places",
            Assert.Throws<ArgumentException>(() => session.Run(X, [x], [], [null])).Message);
        Assert.Contains("'x' is null", Assert.Throws<ArgumentException>(() => session.Run(X, [null!], Y, [null])).Message);
    }

    [Fact]
    public void Wrong_types_and_shapes_are_refused_with_what_was_given()
    {
        using var session = Models.Scaled().Open();
        using var integers = OrtValue.FromMemory(new long[3], 1, 3);
        var type = Assert.Throws<OrtException>(() => session.Run(Models.Feed(("x", integers))));
        Assert.Equal(OrtErrorCode.InvalidArgument, type.Code);
        Assert.Contains("Given: x: Int64[1,3]. It takes: x: Float[batch,3].", type.Message);
        using var wide = OrtValue.FromMemory(new float[4], 1, 4);
        var shape = Assert.Throws<OrtException>(() => session.Run(Models.Feed(("x", wide))));
        Assert.Contains("Given: x: Float[1,4].", shape.Message);
    }

    [Fact]
    public void A_failing_node_is_named()
    {
        var model = Models.Of(
            graph =>
            {
                graph.Input.Add(Models.Value("a", ElementType.Float, "n"));
                graph.Input.Add(Models.Value("b", ElementType.Float, "m"));
                graph.Output.Add(Models.Value("y", ElementType.Float, "k"));
            },
            Models.Node("Add", ["a", "b"], ["y"]));
        model.Graph.Node[0].Name = "the_sum";
        using var session = model.Open();
        using OrtValue two = OrtValue.FromMemory(new float[2], 2), three = OrtValue.FromMemory(new float[3], 3);
        Assert.Contains("the_sum", Assert.Throws<OrtException>(() => session.Run(Models.Feed(("a", two), ("b", three)))).Message);
    }

    [Fact]
    public void Disposed_values_are_refused_and_the_session_stays_usable()
    {
        using var session = Models.Scaled().Open();
        using var x = OrtValue.FromMemory(new float[3], 1, 3);
        var gone = OrtValue.FromMemory(new float[3], 1, 3);
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.Run(X, [gone], Y, [null]));
        Assert.Throws<ObjectDisposedException>(() => session.Run(X, [x], Y, [gone]));
        session.Run(Models.Feed(("x", x))).Dispose();
    }

    [Fact]
    public void An_output_that_is_an_input_keeps_the_memory_of_the_input()
    {
        var model = Models.Identity(ElementType.Float, "n");
        model.Graph.Output.Add(Models.Value("x", ElementType.Float, "n"));
        using var session = model.Open();
        var outputs = RunAndForget(session, out var memory);
        Collect();
        Assert.True(memory.IsAlive);
        Assert.Equal("7,8,9", Read(outputs["x"]));
        outputs.Dispose();
        Collect();
        Assert.False(memory.IsAlive);

        static void Collect()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
        }

        // In frames of their own: a span left on the stack would keep the memory alive.
        [MethodImpl(MethodImplOptions.NoInlining)]
        static string Read(OrtValue value) => string.Join(",", value.Span<float>().ToArray());

        [MethodImpl(MethodImplOptions.NoInlining)]
        static OrtValues RunAndForget(Session session, out WeakReference memory)
        {
            var data = new float[] { 7, 8, 9 };
            memory = new WeakReference(data);
            using var x = OrtValue.FromMemory(data, 3);
            return session.Run(Models.Feed(("x", x)));
        }
    }

    [Fact]
    public async Task A_long_run_can_be_cancelled()
    {
        using var session = Models.Looping().Open(new() { IntraOpThreads = 1 });
        using OrtValue turns = OrtValue.FromMemory(new[] { long.MaxValue }), goOn = OrtValue.FromMemory(new[] { true });
        using var x = OrtValue.FromMemory(new float[] { 3 });
        var feeds = Models.Feed(("turns", turns), ("goOn", goOn), ("x", x));

        await WhenRunning(async delay =>
        {
            using var cancel = new CancellationTokenSource();
            var run = Task.Run(() => session.Run(feeds, cancel: cancel.Token));
            await Task.Delay(delay);
            Assert.False(run.IsCompleted);
            await cancel.CancelAsync();
            var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromMinutes(1)));
            Assert.Equal(cancel.Token, error.CancellationToken);
            return error.InnerException is OrtException;
        });

        turns.Span<long>()[0] = 5;
        using var after = session.Run(feeds, cancel: CancellationToken.None);
        Assert.Equal(3, after[0].Span<float>()[0]);
    }

    [Fact]
    public void A_cancelled_token_prevents_the_run()
    {
        using var session = Models.Scaled().Open();
        using OrtValue x = OrtValue.FromMemory(new float[3], 1, 3), y = OrtValue.FromMemory(new float[] { 7, 7, 7 }, 1, 3);
        Assert.Throws<OperationCanceledException>(() => session.Run(X, [x], Y, [y], cancel: new CancellationToken(canceled: true)));
        Assert.Equal([7, 7, 7], y.Span<float>());
    }

    [Fact]
    public async Task Disposing_during_a_run_lets_the_run_end() => await WhenRunning(async delay =>
    {
        var session = Models.Looping().Open(new() { IntraOpThreads = 1 });
        var turns = OrtValue.FromMemory(new[] { long.MaxValue });
        using var goOn = OrtValue.FromMemory(new[] { true });
        using var x = OrtValue.FromMemory(new float[] { 3 });
        using var cancel = new CancellationTokenSource();
        var run = Task.Run(() => session.Run(Models.Feed(("turns", turns), ("goOn", goOn), ("x", x)), cancel: cancel.Token));
        await Task.Delay(delay);
        session.Dispose();
        turns.Dispose();
        var wasRunning = !run.IsFaulted && !session.IsReleased && !turns.IsReleased;
        await cancel.CancelAsync();
        var error = await Assert.ThrowsAnyAsync<Exception>(() => run.WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.True(session.IsReleased);
        Assert.True(turns.IsReleased);
        return wasRunning && error is OperationCanceledException { InnerException: OrtException };
    });

    [Fact]
    public void What_is_disposed_is_released_when_its_last_user_is_done()
    {
        var session = Models.Scaled().Open();
        var adapter = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", 10)));
        OrtValue x = OrtValue.FromMemory(new float[3], 1, 3), y = OrtValue.FromMemory(new float[3], 1, 3);
        session.Run(X, [x], Y, [y], new RunOptions { Adapters = [adapter] });
        adapter.Dispose();
        Assert.True(adapter.IsReleased);

        var binding = session.CreateBinding();
        binding.BindInput("x", x);
        binding.BindOutput("y", y);
        binding.Run();
        var outputs = binding.GetOutputs();
        foreach (var disposed in (OrtObject[])[session, x, y])
        {
            disposed.Dispose();
            Assert.True(disposed.IsDisposed);
            Assert.False(disposed.IsReleased);
        }
        binding.Dispose();
        Assert.True(binding.IsReleased);
        Assert.True(session.IsReleased);
        Assert.True(x.IsReleased);
        Assert.False(y.IsReleased);
        outputs.Dispose();
        Assert.True(y.IsReleased);
    }

    [Fact]
    public void Run_options_reach_the_run()
    {
        using var session = Models.Scaled().Open();
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        var options = new RunOptions
        {
            Tag = "tag",
            LogSeverity = LogSeverity.Error,
            ConfigEntries = new Dictionary<string, string> { ["memory.enable_memory_arena_shrinkage"] = "cpu:0" },
        };
        session.Run(Models.Feed(("x", x)), options: options).Dispose();
        var wrong = options with { ConfigEntries = new Dictionary<string, string> { ["memory.enable_memory_arena_shrinkage"] = "moon:0" } };
        Assert.Throws<OrtException>(() => session.Run(Models.Feed(("x", x)), options: wrong));
    }

    [Fact]
    public void Many_threads_may_run_one_session()
    {
        using var session = Models.Scaled().Open();
        Parallel.For(0, 2000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            using var x = OrtValue.FromMemory(new float[] { i, i + 1, i + 2 }, 1, 3);
            using var outputs = session.Run(Models.Feed(("x", x)));
            Assert.Equal([2f * i, 2f * (i + 1), 2f * (i + 2)], outputs["y"].Span<float>());
        });
    }

    [Fact]
    public void More_names_than_fit_on_the_stack_work()
    {
        const int Count = 200;
        using var session = Models.Of(
            graph =>
            {
                for (var i = 0; i < Count; i++)
                {
                    graph.Input.Add(Models.Value($"x{i}", ElementType.Float, 1));
                    graph.Output.Add(Models.Value($"y{i}", ElementType.Float, 1));
                }
            },
            [.. Enumerable.Range(0, Count).Select(i => Models.Node("Neg", [$"x{i}"], [$"y{i}"]))]).Open();
        var feeds = Enumerable.Range(0, Count).ToDictionary(i => $"x{i}", i => OrtValue.FromMemory(new float[] { i }, 1));
        using var outputs = session.Run(feeds);
        for (var i = 0; i < Count; i++)
            Assert.Equal(-i, outputs[$"y{i}"].Span<float>()[0]);
    }

    /// <summary>Repeats a test with longer and longer delays until the run had begun when the delay was over.</summary>
    private static async Task WhenRunning(Func<TimeSpan, Task<bool>> test)
    {
        for (var delay = TimeSpan.FromMilliseconds(50); delay < TimeSpan.FromSeconds(30); delay *= 3)
            if (await test(delay))
                return;
        Assert.Fail("The run had not begun after half a minute.");
    }
}
