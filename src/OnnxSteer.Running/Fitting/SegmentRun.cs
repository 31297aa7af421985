using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>One segment of a causal fit, open, with the maps so far as its parameters.</summary>
internal sealed class SegmentRun : IDisposable
{
    private readonly Segment _segment;
    private readonly Session _session;
    private readonly LiveValues _live;
    private readonly List<(string Name, OrtValue Value)> _parameters;
    private readonly string[] _given, _outputs;

    public SegmentRun(Segment segment, Session session, IEnumerable<AdapterParameter> parameters, LiveValues live)
    {
        (_segment, _session, _live) = (segment, session, live);
        var known = session.OverridableInitializers.Select(input => input.Name).ToHashSet();
        _parameters = [.. parameters.Where(parameter => known.Contains(parameter.Name)).Select(parameter =>
            (parameter.Name, OrtValue.FromMemory((ElementType)(int)parameter.DataType, parameter.Data.ToArray(), parameter.Dims.AsSpan())))];
        _given = [.. session.Inputs.Select(input => input.Name).Except(segment.Inputs)];
        _outputs = [.. segment.Outputs, .. segment.Pooled];
    }

    /// <summary>Runs one batch: takes what it reads from the values that wait, and leaves what later segments read.</summary>
    public void Run(int index, CausalBatch batch, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        var inputs = _segment.Inputs.Select(name => (Name: name, Value: _live.Get(index, name))).ToList();
        List<(string Name, OrtValue Value)> feeds = [.. inputs, .. _parameters, .. _given.Select(name => (name, batch.Input(name)))];
        var results = new OrtValue?[_outputs.Length];
        _session.Run([.. feeds.Select(feed => feed.Name)], [.. feeds.Select(feed => feed.Value)], _outputs, results, null, cancel);
        foreach (var (_, value) in inputs)
            value.Dispose();
        foreach (var name in _segment.Releases)
            _live.Remove(index, name);
        foreach (var (name, value) in _segment.Outputs.Zip(results))
            _live.Put(index, name, value!);
        foreach (var (tap, isInside) in _segment.Taps.Select(tap => (tap, false)).Concat(_segment.Insides.Select(tap => (tap, true))))
            foreach (var (place, output) in tap.Parts)
                batch.Take(tap.Site, place, results[Array.IndexOf(_outputs, output)]!, isInside);
        foreach (var value in results)
            value!.Dispose();
    }

    public void Dispose()
    {
        foreach (var (_, value) in _parameters)
            value.Dispose();
    }
}
