using System.Collections.Immutable;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using OnnxSteer.Ort;

namespace OnnxSteer.Running.Tests;

/// <summary>A model that stays open for several runs, with default optimizations, on one thread.</summary>
internal sealed class Runner : IDisposable
{
    // Without VNNI the sums of products of 8 bit numbers overflow in ONNX Runtime's fast kernels; the goldens were measured with it.
    public static readonly SessionOptions OneThread = new() { IntraOpThreads = 1, ConfigEntries = new Dictionary<string, string> { ["session.x64quantprecision"] = "1" } };

    public Runner(Model model, SessionOptions? options = null) => Decoder = Decoder.Open(model, options ?? OneThread);

    public Decoder Decoder { get; }

    public void Dispose() => Decoder.Dispose();

    /// <summary>One call on rows of any lengths, through the runtime's own batches.</summary>
    public Dictionary<string, float[]> Run(
        IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyList<string> outputs, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        using var state = Decoder.Start(rows.Count, dials);
        return Take(outputs, state.Run(Batch(rows), outputs));
    }

    public float[] Logits(IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? dials = null) => Run(rows, ["logits"], dials)["logits"];

    /// <summary>The logits of a row's last token, the row run alone.</summary>
    public float[] Last(ImmutableArray<int> row, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        var logits = Logits([row], dials);
        return logits[^(logits.Length / row.Length)..];
    }

    public TokenBatch Batch(IReadOnlyList<ImmutableArray<int>> rows) => new(rows, Decoder.Signature.Padding, Decoder.Config.PadId);

    public static Dictionary<string, float[]> Take(IReadOnlyList<string> names, IReadOnlyList<OrtValue> values)
    {
        var result = names.Zip(values).ToDictionary(pair => pair.First, pair => pair.Second.ToSingles());
        foreach (var value in values)
            value.Dispose();
        return result;
    }

    /// <summary>
    /// One call on rows of one length, fed by hand rather than by the runtime: every output that the graph declares, the
    /// cache included.
    /// </summary>
    /// <param name="rows">The new tokens.</param>
    /// <param name="past">What an earlier call gave, of which the cache is taken; null for the first.</param>
    /// <param name="dials">Values for overridable inputs.</param>
    public Dictionary<string, float[]> Call(
        IReadOnlyList<ImmutableArray<int>> rows, IReadOnlyDictionary<string, float[]>? past = null, IReadOnlyDictionary<string, float[]>? dials = null)
    {
        var (signature, batch, tokens) = (Decoder.Signature, rows.Count, rows[0].Length);
        Assert.All(rows, row => Assert.Equal(tokens, row.Length));
        int Heads(CacheTensor tensor) => tensor.Heads ?? Decoder.Config.KeyValueHeads!.Value;
        int Size(CacheTensor tensor) => tensor.HeadSize ?? Decoder.Config.HeadSize!.Value;
        var before = past is null ? 0 : past[signature.Cache[0].Present].Length / (batch * Heads(signature.Cache[0]) * Size(signature.Cache[0]));
        var feeds = new Dictionary<string, OrtValue>();
        try
        {
            foreach (var name in Decoder.Session.Inputs.Select(input => input.Name))
                feeds[name] = name switch
                {
                    "input_ids" => OrtValue.FromMemory(rows.SelectMany(row => row.Select(id => (long)id)).ToArray(), batch, tokens),
                    "attention_mask" => OrtValue.FromMemory(Enumerable.Repeat(1L, batch * (before + tokens)).ToArray(), batch, before + tokens),
                    "position_ids" => OrtValue.FromMemory(Enumerable.Range(0, batch * tokens).Select(i => (long)(before + i % tokens)).ToArray(), batch, tokens),
                    _ when signature.Cache.FirstOrDefault(tensor => tensor.Past == name) is { } tensor =>
                        OrtValue.FromMemory(past?[tensor.Present] ?? [], batch, Heads(tensor), before, Size(tensor)),
                    _ => throw new InvalidOperationException($"an input '{name}' that nothing feeds"),
                };
            foreach (var (name, values) in dials ?? ImmutableDictionary<string, float[]>.Empty)
                feeds[name] = OrtValue.FromMemory(values, values.Length);
            using var outputs = Decoder.Session.Run(feeds);
            return outputs.Names.ToDictionary(name => name, name => outputs[name].ToSingles());
        }
        finally
        {
            foreach (var value in feeds.Values)
                value.Dispose();
        }
    }
}

/// <summary>Comparisons to the bit.</summary>
internal static class Bits
{
    /// <summary>Where two lists first differ in more than a zero's sign, or -1.</summary>
    public static int FirstDifference(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        if (MemoryMarshal.AsBytes(expected).SequenceEqual(MemoryMarshal.AsBytes(actual)))
            return -1;
        for (var i = 0; i < expected.Length; i++)
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]) && (expected[i] != 0 || actual[i] != 0))
                return i;
        return -1;
    }

    public static bool Same(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual) => FirstDifference(expected, actual) < 0;

    /// <summary>The outputs of two calls that differ, with how far; empty where all are the same.</summary>
    public static List<string> Differing(IReadOnlyDictionary<string, float[]> expected, IReadOnlyDictionary<string, float[]> actual) =>
        [.. expected.Where(pair => !Same(pair.Value, actual[pair.Key])).Select(pair => $"{pair.Key} by {Exports.Worst(pair.Value, actual[pair.Key]):g2}")];

    /// <summary>The largest magnitude.</summary>
    public static float Largest(ReadOnlySpan<float> values) => TensorPrimitives.MaxMagnitude(values) is var largest ? Math.Abs(largest) : 0;
}
