using OnnxSteer.Fixtures;

namespace OnnxSteer.Ort.Tests;

public sealed class AdapterTests
{
    [Fact]
    public void An_adapter_changes_the_runs_that_name_it_and_no_other()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["größe.onnx_adapter"], AdapterFile.Of(AdapterFile.Floats("scale", 10)));
        using var session = Models.Scaled(scale: 2).Open();
        using var ten = Adapter.Load(folder["größe.onnx_adapter"]);
        using var wide = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", 1, 10, 100)));

        Assert.Equal([2, 4, 6], Scale(session));
        Assert.Equal([10, 20, 30], Scale(session, ten));
        Assert.Equal([1, 20, 300], Scale(session, wide));
        Assert.Equal([1, 20, 300], Scale(session, ten, wide));
        Assert.Equal([2, 4, 6], Scale(session));
    }

    [Fact]
    public void Threads_with_different_adapters_do_not_meet()
    {
        using var session = Models.Scaled().Open();
        var adapters = Enumerable.Range(1, 4).Select(i => Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", i)))).ToArray();
        Parallel.For(0, 400, i => Assert.Equal([(i % 4) + 1, ((i % 4) + 1) * 2, ((i % 4) + 1) * 3], Scale(session, adapters[i % 4])));
        foreach (var adapter in adapters)
            adapter.Dispose();
    }

    [Fact]
    public void What_does_not_fit_the_model_is_refused()
    {
        using var session = Models.Scaled().Open();
        using var unknown = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("nothing", 1)));
        Assert.Contains("nothing", Assert.Throws<OrtException>(() => Scale(session, unknown)).Message);
        using var integers = Adapter.Load(AdapterFile.Of(("scale", [1], ElementType.Int64, new byte[8])));
        Assert.Equal(OrtErrorCode.InvalidArgument, Assert.Throws<OrtException>(() => Scale(session, integers)).Code);
    }

    [Fact]
    public void What_is_no_adapter_is_refused()
    {
        using var folder = new TemporaryFolder();
        var path = folder["x.onnx_adapter"];
        Assert.Contains(path, Assert.Throws<FileNotFoundException>(() => Adapter.Load(path)).Message);
        File.WriteAllText(path, "this is no adapter, however long it may be");
        Assert.Throws<OrtException>(() => Adapter.Load(path));
        Assert.Throws<OrtException>(() => Adapter.Load("this is no adapter, however long it may be"u8));
        Assert.Throws<ArgumentException>(() => Adapter.Load([]));
    }

    [Fact]
    public void A_disposed_adapter_is_refused()
    {
        using var session = Models.Scaled().Open();
        using var good = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", 1)));
        var gone = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", 1)));
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Scale(session, good, gone));
        Assert.Equal([1, 2, 3], Scale(session, good));
    }

    private static float[] Scale(Session session, params Adapter[] adapters)
    {
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        using var outputs = session.Run(Models.Feed(("x", x)), options: new RunOptions { Adapters = adapters });
        return outputs["y"].Span<float>().ToArray();
    }
}
