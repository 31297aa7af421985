using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>
/// A batch of sequences on its way through a decoder: mask, positions and key-value cache. Cache tensors pass from one
/// call to the next without being copied.
/// </summary>
public sealed class DecoderState : IDisposable
{
    private readonly Decoder decoder;
    private readonly RunOptions? run;
    private readonly Dictionary<string, OrtValue> dials;
    private readonly Dictionary<string, OrtValue> past = [];
    private int[] counts;
    private int[] leading;
    private int columns;

    internal DecoderState(Decoder decoder, int rows, IReadOnlyDictionary<string, float[]>? dials, IReadOnlyList<Adapter>? adapters)
    {
        this.decoder = decoder;
        run = adapters is { Count: > 0 } ? new RunOptions { Adapters = adapters } : null;
        (counts, leading) = (new int[rows], new int[rows]);
        this.dials = (dials ?? ImmutableDictionary<string, float[]>.Empty).ToDictionary(dial => dial.Key, dial => Dial(dial.Key, dial.Value, rows));
        foreach (var tensor in decoder.Signature.Cache)
            if (Input(tensor.Past) is { } input)
                past[tensor.Past] = Empty(tensor, decoder.Signature, decoder.Config, input.ElementType, rows);
    }

    /// <summary>Real tokens so far in a row.</summary>
    public int Count(int row) => counts[row];

    /// <summary>Columns of the cache: the tokens of the longest row so far, or more where a shorter one went on.</summary>
    public int Columns => columns;

    /// <summary>Goes on with some of the rows alone, in the order given, and with no more columns of the cache than they need.</summary>
    public void Keep(IReadOnlyList<int> rows)
    {
        foreach (var (name, value) in dials)
            if (value.Length > 1)
            {
                dials[name] = value.ElementType == ElementType.Int64
                    ? OrtValue.FromMemory([.. rows.Select(row => value.Span<long>()[row])], rows.Count) : OrtValue.FromMemory([.. rows.Select(row => value.Span<float>()[row])], rows.Count);
                value.Dispose();
            }
        // On the left all rows end at the last column, on the right all begin at the first.
        var isLeft = decoder.Signature.Padding == PaddingSide.Left;
        var (start, end) = isLeft ? (rows.Min(row => leading[row]), columns) : (0, rows.Max(row => counts[row]));
        foreach (var (name, value) in past)
        {
            past[name] = Part(value, rows, start, end);
            value.Dispose();
        }
        (counts, leading, columns) = ([.. rows.Select(row => counts[row])], [.. rows.Select(row => leading[row] - start)], end - start);
    }

    /// <summary>
    /// Runs the model on the next tokens of each row. The first batch may have rows of different lengths; later ones may not,
    /// unless the graph has no cache, where every call is a first one.
    /// </summary>
    /// <param name="batch">The tokens.</param>
    /// <param name="outputs">Outputs to compute besides the cache.</param>
    /// <param name="cancel">Ends the run before the next node.</param>
    /// <returns>The values of <paramref name="outputs"/>; to be disposed.</returns>
    public IReadOnlyList<OrtValue> Run(TokenBatch batch, IReadOnlyList<string> outputs, CancellationToken cancel = default)
    {
        if (past.Count > 0 && columns > 0 && Enumerable.Range(0, batch.Rows).Any(row => batch.Length(row) != batch.Columns))
            throw new ArgumentException("Only the first call may have rows of different lengths.", nameof(batch));
        var (names, values) = (new List<string>(), new List<OrtValue>());
        using var owned = new Owned();
        Feed(decoder.Signature.InputIds, () => batch.Ids, batch.Columns);
        Feed(decoder.Signature.AttentionMask, () => Mask(batch), columns + batch.Columns);
        Feed(decoder.Signature.PositionIds, () => Positions(batch), batch.Columns);
        Feed(SiteTaps.PooledTokens, batch.Chosen, batch.Columns);
        if (decoder.Signature.UseCacheBranch is { } branch && Input(branch) is { } use)
        {
            names.Add(branch);
            values.Add(owned.Add(Integers(branch, use.ElementType, [columns > 0 ? 1 : 0], [1])));
        }
        foreach (var (name, value) in past.Concat(dials))
        {
            names.Add(name);
            values.Add(value);
        }
        string[] presents = [.. decoder.Signature.Cache.Where(tensor => past.ContainsKey(tensor.Past)).Select(tensor => tensor.Present).Where(IsOutput)];
        string[] fetches = [.. outputs, .. presents];
        var results = new OrtValue?[fetches.Length];
        decoder.Session.Run(names.ToArray(), values.ToArray(), fetches, results, run, cancel);
        Advance(batch, presents, results.AsSpan(outputs.Count));
        return results[..outputs.Count]!;

        void Feed(string? name, Func<long[]> data, int width)
        {
            if (name is null || Input(name) is not { } input)
                return;
            names.Add(name);
            values.Add(owned.Add(Integers(name, input.ElementType, data(), [batch.Rows, width])));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var value in past.Values.Concat(dials.Values))
            value.Dispose();
    }

    private void Advance(TokenBatch batch, string[] presents, ReadOnlySpan<OrtValue?> values)
    {
        if (past.Count == 0)
            return;
        for (var row = 0; row < batch.Rows; row++)
        {
            if (columns == 0)
                leading[row] = batch.First(row);
            counts[row] += batch.Length(row);
        }
        columns += batch.Columns;
        var pasts = decoder.Signature.Cache.ToDictionary(tensor => tensor.Present, tensor => tensor.Past);
        for (var i = 0; i < presents.Length; i++)
        {
            past[pasts[presents[i]]].Dispose();
            past[pasts[presents[i]]] = values[i]!;
        }
    }

    // On the right, a row's real tokens stand first, those of the past included: attention by length counts them so.
    // On the left, everything behind the leading filling is real.
    private long[] Mask(TokenBatch batch)
    {
        var width = columns + batch.Columns;
        var mask = new long[batch.Rows * width];
        for (var row = 0; row < batch.Rows; row++)
        {
            var (start, end) = batch.Padding == PaddingSide.Right ? (0, counts[row] + batch.Length(row)) : (columns == 0 ? batch.First(row) : leading[row], width);
            mask.AsSpan(row * width + start, end - start).Fill(1);
        }
        return mask;
    }

    private long[] Positions(TokenBatch batch)
    {
        var positions = new long[batch.Rows * batch.Columns];
        for (var row = 0; row < batch.Rows; row++)
            for (var i = 0; i < batch.Length(row); i++)
                positions[row * batch.Columns + batch.First(row) + i] = counts[row] + i;
        return positions;
    }

    private OrtValue Dial(string name, float[] values, int rows)
    {
        var input = decoder.Session.OverridableInitializers.FirstOrDefault(input => input.Name == name);
        if (input is null)
        {
            var there = string.Join(", ", decoder.Session.OverridableInitializers.Take(10).Select(input => $"'{input.Name}'"));
            throw new OnnxException($"The model has no input '{name}' with a default ({(there.Length > 0 ? $"there are: {there}" : "there are none")}), so it was not patched with a dial of that name. Patch it with --mode live.");
        }
        if (values.Length != 1 && values.Length != rows)
            throw new OnnxException($"'{name}' was given {values.Length} values; one, or one for each of the {rows} rows, was expected.");
        if (input.ElementType == ElementType.Int64 && values.Any(value => value != MathF.Truncate(value)))
            throw new OnnxException($"'{name}' takes the number of a map, a whole one; {string.Join(", ", values)} was given.");
        // The number of a map.
        return input.ElementType == ElementType.Int64 ? OrtValue.FromMemory(Array.ConvertAll(values, value => (long)value), values.Length) : OrtValue.FromMemory(values, values.Length);
    }

    /// <summary>A cache tensor without a past.</summary>
    internal static OrtValue Empty(CacheTensor tensor, DecoderSignature signature, DecoderConfig config, ElementType type, int rows)
    {
        var (heads, size) = (tensor.Heads ?? config.KeyValueHeads, tensor.HeadSize ?? config.HeadSize);
        if (heads is null || size is null)
            throw new OnnxException($"The cache input '{tensor.Past}' is of unknown shape; neither the graph nor a genai_config.json or config.json beside it says how many heads it has, or how large they are.");
        // A merged decoder checks that there is a past, but does not read it at first.
        var empty = OrtValue.Allocate(type, rows, heads.Value, signature.UseCacheBranch is null ? 0 : 1, size.Value);
        empty.Bytes().Clear();
        return empty;
    }

    // Rows and columns of a cache [rows, heads, columns, size].
    private static OrtValue Part(OrtValue value, IReadOnlyList<int> rows, int start, int end)
    {
        var (heads, columns, size) = ((int)value.Shape[1], (int)value.Shape[2], (int)value.Shape[3]);
        var part = OrtValue.Allocate(value.ElementType, rows.Count, heads, end - start, size);
        if (part.Length == 0)
            return part;
        var from = value.Bytes();
        var to = part.Bytes();
        var column = from.Length / (int)(value.Shape[0] * heads * columns);
        for (var i = 0; i < rows.Count * heads; i++)
            from.Slice(((rows[i / heads] * heads + i % heads) * columns + start) * column, (end - start) * column).CopyTo(to[(i * (end - start) * column)..]);
        return part;
    }

    private Ort.ValueInfo? Input(string name) => decoder.Session.Inputs.FirstOrDefault(input => input.Name == name);

    private bool IsOutput(string name) => decoder.Session.Outputs.Any(output => output.Name == name);

    /// <summary>Token ids, a mask or positions in the type that an input wants.</summary>
    internal static OrtValue Integers(string input, ElementType type, long[] data, long[] shape) => type switch
    {
        ElementType.Int64 => OrtValue.FromMemory(data, shape),
        ElementType.Int32 => OrtValue.FromMemory(Array.ConvertAll(data, value => (int)value), shape),
        ElementType.Bool => OrtValue.FromMemory(Array.ConvertAll(data, value => value != 0), shape),
        ElementType.Float => OrtValue.FromMemory(Array.ConvertAll(data, value => (float)value), shape),
        _ => throw new OnnxException($"The input '{input}' is of type {type}, which token ids, masks and positions never have."),
    };

    private sealed class Owned : IDisposable
    {
        private readonly List<OrtValue> values = [];

        public OrtValue Add(OrtValue value)
        {
            values.Add(value);
            return value;
        }

        public void Dispose()
        {
            foreach (var value in values)
                value.Dispose();
        }
    }
}
