using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using OnnxSteer.Generate;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Diffing;
using OnnxSteer.Onnx.Inference;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Fuzz;

/// <summary>How far a run came.</summary>
/// <param name="Cases">Files tried.</param>
/// <param name="Refused">Of these, how many were refused by an <see cref="OnnxException"/> at some step.</param>
/// <param name="Patched">Of these, how many were patched, saved and restored.</param>
/// <param name="Slowest">What the slowest took.</param>
public sealed record FuzzResult(int Cases, int Refused, int Patched, TimeSpan Slowest);

/// <summary>
/// Puts damaged and hostile files through everything that reads files. The only way to fail is an
/// <see cref="OnnxException"/>: any other exception, more time or memory than a small file can cost, or a change outside
/// the folder written ends the run with the seed that shows it.
/// </summary>
public sealed class Fuzzer : IDisposable
{
    private const long MaxAllocated = 1L << 30;
    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(10);

    private readonly string _root = Directory.CreateTempSubdirectory("onnxsteer-fuzz-").FullName;
    private readonly List<byte[]> _maps;
    private int _refused, _patched;
    private bool _isRefused;

    public Fuzzer()
    {
        Directory.CreateDirectory(In("model", "shards"));
        Directory.CreateDirectory(In("elsewhere"));
        File.WriteAllText(In("secret"), "outside");
        File.WriteAllText(In("elsewhere", "secret"), "outside");
        if (!OperatingSystem.IsWindows())
        {
            File.CreateSymbolicLink(In("model", "link"), In("secret"));
            Directory.CreateSymbolicLink(In("model", "linked"), In("elsewhere"));
        }
        var map = new SteeringMap([new SiteTransport("model.layers.0", Transport.Of("model.layers.0", [1, 2], [3, 4]))]);
        map.Save(In("map.safetensors"));
        _maps = [File.ReadAllBytes(In("map.safetensors"))];
        File.Delete(In("map.safetensors"));
    }

    /// <summary>Tries consecutive seeds.</summary>
    /// <exception cref="InvalidOperationException">A seed that fails otherwise than by an <see cref="OnnxException"/>.</exception>
    public FuzzResult Run(int seed, int count, IProgress<int>? progress = null)
    {
        var slowest = TimeSpan.Zero;
        for (var i = 0; i < count; i++)
        {
            var current = seed + i;
            using var watch = new Timer(_ => Environment.FailFast(string.Create(CultureInfo.InvariantCulture, $"Seed {current} hangs.")), null, 6 * MaxTime, Timeout.InfiniteTimeSpan);
            var (start, allocated) = (Stopwatch.GetTimestamp(), GC.GetAllocatedBytesForCurrentThread());
            try
            {
                Case(current);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Seed {current}: {e.GetType().Name}: {e.Message}"), e);
            }
            var took = Stopwatch.GetElapsedTime(start);
            slowest = took > slowest ? took : slowest;
            if (took > MaxTime || GC.GetAllocatedBytesForCurrentThread() - allocated > MaxAllocated)
                throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"Seed {current} took {took.TotalSeconds:0.0} s and {(GC.GetAllocatedBytesForCurrentThread() - allocated) >> 20} MB."));
            progress?.Report(i + 1);
        }
        return new FuzzResult(count, _refused, _patched, slowest);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private void Case(int seed)
    {
        var random = new Random(seed);
        _isRefused = false;
        if (random.Chance(0.15))
            Table(Mutations.Damage(random.Pick(_maps), random));
        else
            ModelFileCase(random);
        _refused += _isRefused ? 1 : 0;
    }

    private void Table(byte[] bytes)
    {
        File.WriteAllBytes(In("t.safetensors"), bytes);
        Try(() => SteeringMap.Load(In("t.safetensors")));
        Try(() => ActivationSet.Load(In("t.safetensors")));
        Try(() => ActivationPair.Load(In("t.safetensors")));
    }

    private void ModelFileCase(Random random)
    {
        var (proto, data) = random.Chance(0.8) ? RandomModel.Make(random.Next(1000)) : (random.Pick<ModelProto>([.. Kinds.All.Values]).Clone(), Array.Empty<byte>());
        if (random.Chance(0.5))
            Mutations.Distort(proto, random);
        var bytes = random.Chance(0.3) ? proto.ToByteArray() : WireEncoder.Encode(proto, random);
        if (random.Chance(0.7))
            bytes = Mutations.Damage(bytes, random);
        File.WriteAllBytes(In("model", RandomModel.DataFile), random.Chance(0.1) ? Mutations.Damage(data, random) : data);
        File.WriteAllBytes(In("model", "model.onnx"), bytes);
        if (Try(() => ModelFile.Open(In("model"))) is not { } model)
            return;
        Try(() => ModelDescription.Of(model));
        Try(() => model.Graphs.Select(graph => graph.Nodes.SelectMany(node => node.Outputs).Select(value => FactTable.Of(graph)[value]).ToList()).ToList());
        Try(() => PatchRecord.All(model));
        Try(() => PatchRecord.Undo(model));
        Try(() => model.Apply(Pruning.To(model, [.. model.Graph.Outputs.Take(1).Select(output => output.Name)])));
        if (Try(() => Patched(model, random)) is { } patched)
            SaveAndRestore(model, patched);
    }

    private static Model Patched(Model model, Random random)
    {
        var values = model.Graphs.SelectMany(graph => graph.Nodes).SelectMany(node => node.Outputs).Where(name => name.Length > 0).ToList();
        if (values.Count == 0)
            throw new OnnxException("nothing to steer");
        for (var i = 0; i < 4; i++)
            try
            {
                var site = random.Chance(0.3) ? SiteTable.Of(model).Matching(".*")[0] : SiteTable.Of(model).Find($"value:{random.Pick(values)}");
                if (site.Channels > 1 << 16)
                    throw new OnnxException("too wide for a small test");
                var map = new SteeringMap([new SiteTransport(site.Name, Transport.Of(site.Name, [.. Enumerable.Repeat(1.5f, site.Channels)], [.. Enumerable.Repeat(0.5f, site.Channels)]))]);
                return model.Apply(Steering.Patch(model, map, new SteeringOptions { Mode = random.Chance(0.5) ? Mode.Baked : Mode.Live }));
            }
            catch (OnnxException)
            {
                // Another value may do.
            }
        // Any value at all, whatever is known of it.
        var place = new ValuePlace(Graph.MainPath, random.Pick(values));
        return model.Apply((GraphPatch.Empty with { Title = new PatchTitle("fuzz", ImmutableSortedDictionary<string, string>.Empty) })
            .Intercept(model, place, "fuzz", (from, to) => [new NodeProto { OpType = "Identity", Input = { from }, Output = { to } }]));
    }

    private void SaveAndRestore(Model model, Model patched)
    {
        if (Try(() => { patched.SaveTo(In("out")); return patched; }) is null)
            return;
        try
        {
            var saved = ModelFile.Open(In("out"));
            if (!PatchRecord.Undo(saved).Source.ToArray().AsSpan().SequenceEqual(model.Source.ToArray()))
                throw new InvalidOperationException("The original did not come back.");
            if (Try(() => ModelDiff.Of(patched, saved)) is { Differences: [var difference, ..] })
                throw new InvalidOperationException($"A model differs from itself: {difference}");
            if (Try(() => ModelDiff.Of(model, saved)) is { IsEmpty: true })
                throw new InvalidOperationException("A patched model does not differ.");
            _patched++;
        }
        finally
        {
            Directory.Delete(In("out"), recursive: true);
        }
        if (File.ReadAllText(In("secret")) != "outside" || Directory.GetFileSystemEntries(_root).Length > 4 || Directory.GetFileSystemEntries(In("elsewhere")).Length != 1)
            throw new InvalidOperationException("Something outside the output was written.");
    }

    private T? Try<T>(Func<T> work) where T : class
    {
        try
        {
            return work();
        }
        catch (OnnxException e)
        {
            _isRefused = true;
            return string.IsNullOrWhiteSpace(e.Message) ? throw new InvalidOperationException("An error without words.", e) : null;
        }
    }

    private string In(params ReadOnlySpan<string> path) => Path.Combine([_root, .. path]);
}
