namespace OnnxSteer.Ort.Tests;

public sealed class IoBindingTests
{
    [Fact]
    public void What_is_bound_stays_bound()
    {
        using var session = Models.Scaled().Open();
        using var binding = session.CreateBinding();
        var data = new float[] { 1, 2, 3 };
        var place = new float[3];
        using (OrtValue x = OrtValue.FromMemory(data, 1, 3), y = OrtValue.FromMemory(place, 1, 3))
        {
            binding.BindInput("x", x);
            binding.BindOutput("y", y);
        }

        // The values are disposed; the binding keeps what it needs of them.
        GC.Collect();
        binding.Run();
        Assert.Equal([2, 4, 6], place);
        data[0] = 50;
        binding.Run();
        Assert.Equal([100, 4, 6], place);
        using (var scale = OrtValue.FromMemory(new float[] { 10 }, 1))
            binding.BindInput("scale", scale);
        binding.SynchronizeInputs();
        binding.Run();
        binding.SynchronizeOutputs();
        Assert.Equal([500, 20, 30], place);
        using var outputs = binding.GetOutputs();
        Assert.Equal([500, 20, 30], outputs["y"].Span<float>());
        binding.Dispose();
        Assert.Equal([500, 20, 30], outputs["y"].Span<float>());
    }

    [Fact]
    public void Outputs_may_be_allocated_by_the_run()
    {
        using var session = Models.Scaled().Open();
        using var binding = session.CreateBinding();
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        binding.BindInput("x", x);
        binding.BindOutput("y");
        binding.BindOutput("y", "Cpu");
        using (var before = binding.GetOutputs())
            Assert.Equal(["y"], before.Names);
        binding.Run();
        using (var outputs = binding.GetOutputs())
            Assert.Equal([2, 4, 6], Assert.Single(outputs).Span<float>());
        binding.ClearOutputs();
        using (var none = binding.GetOutputs())
            Assert.Empty(none);
        binding.ClearInputs();
        binding.BindOutput("y");
        Assert.Throws<OrtException>(() => binding.Run());
    }

    [Fact]
    public void Adapters_on_a_binding_are_an_error()
    {
        using var session = Models.Scaled().Open();
        using var binding = session.CreateBinding();
        using var adapter = Adapter.Load(AdapterFile.Of(AdapterFile.Floats("scale", 10)));
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        binding.BindInput("x", x);
        binding.BindOutput("y");
        Assert.Contains("ignores adapters", Assert.Throws<ArgumentException>(() => binding.Run(new() { Adapters = [adapter] })).Message);
        binding.Run(new() { Tag = "fine" });
    }

    [Fact]
    public void Wrong_names_devices_and_values_are_refused()
    {
        using var session = Models.Scaled().Open();
        using var binding = session.CreateBinding();
        using var x = OrtValue.FromMemory(new float[3], 1, 3);
        Assert.Contains("It takes: x", Assert.Throws<ArgumentException>(() => binding.BindInput("z", x)).Message);
        Assert.Contains("It has: y", Assert.Throws<ArgumentException>(() => binding.BindOutput("z", x)).Message);
        Assert.Contains("It has: y", Assert.Throws<ArgumentException>(() => binding.BindOutput("z")).Message);
        Assert.Throws<OrtException>(() => binding.BindOutput("y", "Moon"));
        Assert.Throws<ArgumentNullException>(() => binding.BindInput("x", null!));
        x.Dispose();
        Assert.Throws<ObjectDisposedException>(() => binding.BindInput("x", x));
        binding.Dispose();
        Assert.Throws<ObjectDisposedException>(() => binding.Run());
    }

    [Fact]
    public void A_binding_keeps_its_session_alive()
    {
        using var x = OrtValue.FromMemory(new float[] { 1, 2, 3 }, 1, 3);
        var session = Models.Scaled().Open();
        using var binding = session.CreateBinding();
        binding.BindInput("x", x);
        binding.BindOutput("y");
        binding.Run();
        session.Dispose();
        using (var outputs = binding.GetOutputs())
            Assert.Equal([2, 4, 6], outputs[0].Span<float>());
        Assert.Throws<ObjectDisposedException>(() => binding.Run());
    }

    [Fact]
    public async Task A_long_bound_run_can_be_cancelled()
    {
        using var session = Models.Looping().Open(new() { IntraOpThreads = 1 });
        using var binding = session.CreateBinding();
        using OrtValue turns = OrtValue.FromMemory(new[] { long.MaxValue }), goOn = OrtValue.FromMemory(new[] { true });
        using var x = OrtValue.FromMemory(new float[] { 3 });
        binding.BindInput("turns", turns);
        binding.BindInput("goOn", goOn);
        binding.BindInput("x", x);
        binding.BindOutput("y");
        using var cancel = new CancellationTokenSource();
        var run = Task.Run(() => binding.Run(cancel: cancel.Token));
        await Task.Delay(50);
        await cancel.CancelAsync();
        await Assert.ThrowsAsync<OperationCanceledException>(() => run.WaitAsync(TimeSpan.FromMinutes(1)));
    }
}
