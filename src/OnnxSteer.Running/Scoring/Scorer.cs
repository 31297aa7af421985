using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;

namespace OnnxSteer.Running;

/// <summary>A row of tokens to score.</summary>
/// <param name="Ids">Token ids, special tokens included.</param>
/// <param name="From">The first token that is scored; of the first of all nothing is known, so at least 1.</param>
public sealed record ScoredRow(ImmutableArray<int> Ids, int From = 1);

/// <summary>
/// Scores rows of tokens by their likelihood. The model is cut before its vocabulary head, which sees some tokens at a time, and only
/// their likelihoods leave it: memory does not grow with the vocabulary. Where it cannot be cut, whole logits are read, for few rows at a time.
/// </summary>
public sealed class Scorer : IDisposable
{
    // Logits that may be there at once, and hidden values of a call.
    private const long LogitBytes = 64L << 20, HiddenBytes = 256L << 20;

    private readonly Decoder _body;
    private readonly Session? _head;
    private readonly HeadCut? _cut;
    private readonly string _output;
    private readonly int _rowsAtOnce;

    private Scorer(Decoder body, Session? head, HeadCut? cut, string output, long? vocabulary, bool isRowwise)
    {
        (_body, _head, _cut, _output) = (body, head, cut, output);
        Vocabulary = vocabulary;
        _rowsAtOnce = isRowwise ? 1 : int.MaxValue;
    }

    /// <summary>How many tokens the model knows; null where the graph does not say.</summary>
    public long? Vocabulary { get; }

    /// <summary>Whether rows run one by one, since activations are quantized by a scale that a whole call shares.</summary>
    public bool IsOneByOne => _rowsAtOnce == 1;

    /// <summary>Opens a model.</summary>
    /// <exception cref="OnnxException">No language model, or one without logits.</exception>
    public static Scorer Open(Model model, SessionOptions? options = null)
    {
        var signature = DecoderSignature.Of(model);
        var logits = signature.Logits ?? throw new OnnxException($"{model.Source.Name}: the model has no output 'logits', so it cannot score texts.");
        var vocabulary = model.Graph.Info(logits)?.Dims is [.., { } size] ? size : (long?)null;
        var isRowwise = model.Graphs.Any(graph => graph.Nodes.Any(node => node.OpType is "DynamicQuantizeLinear" or "DynamicQuantizeMatMul"));
        var cut = vocabulary is null || isRowwise ? null : HeadCut.TryOf(model);
        var body = Decoder.Open(cut?.Body ?? model, signature, options);
        try
        {
            return new Scorer(body, cut is null ? null : Sessions.Open(cut.Head, options), cut, cut?.Hidden ?? logits, vocabulary, isRowwise);
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    /// <summary>Scores rows.</summary>
    /// <param name="rows">The rows; a row without a token to score scores 0.</param>
    /// <param name="dials">Values for overridable inputs by name, one each.</param>
    /// <param name="batchSize">Rows in one call at most.</param>
    /// <param name="progress">Told how many rows are done.</param>
    /// <param name="cancel">Ends the scoring.</param>
    /// <exception cref="OnnxException">A row is empty, too long, or holds an id that the model does not know; a likelihood is not a number.</exception>
    public IReadOnlyList<Score> Score(
        IReadOnlyList<ScoredRow> rows, IReadOnlyDictionary<string, float[]>? dials = null, int batchSize = 16, IProgress<int>? progress = null, CancellationToken cancel = default)
    {
        TokenizedPrompts.Check([.. rows.Select(row => row.Ids)], Vocabulary, _body.Config.ContextLength);
        var scores = new Score[rows.Count];
        var done = 0;
        foreach (var batch in BatchPlan.Of(rows.Select(row => row.Ids.Length), Math.Min(batchSize, _rowsAtOnce)).Batches.SelectMany(batch => Split(batch, rows)))
        {
            cancel.ThrowIfCancellationRequested();
            foreach (var (row, nll) in batch.Zip(Run([.. batch.Select(row => rows[row])], dials, cancel)))
                scores[row] = new Score(Finite(nll, row), Math.Max(0, rows[row].Ids.Length - Math.Max(1, rows[row].From)));
            progress?.Report(done += batch.Length);
        }
        return scores;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _head?.Dispose();
        _body.Dispose();
    }

    private static double Finite(double nll, int row) =>
        double.IsFinite(nll) ? nll : throw new OnnxException($"The likelihood of row {row + 1} is {nll}, a finite number was expected: the strength is too high, or the model is damaged.");

    // What a call makes must fit: hidden values, or whole logits.
    private IEnumerable<ImmutableArray<int>> Split(ImmutableArray<int> batch, IReadOnlyList<ScoredRow> rows)
    {
        var perToken = 4L * (_cut is null ? Vocabulary ?? 1 : 4096);
        var longest = batch.Max(row => rows[row].Ids.Length);
        var fits = (int)Math.Clamp(HiddenBytes / Math.Max(1, longest * perToken), 1, batch.Length);
        return batch.Chunk(fits).Select(part => part.ToImmutableArray());
    }

    private double[] Run(ImmutableArray<ScoredRow> rows, IReadOnlyDictionary<string, float[]>? dials, CancellationToken cancel)
    {
        var batch = new TokenBatch([.. rows.Select(row => row.Ids)], _body.Signature.Padding, _body.Config.PadId);
        var known = _body.Session.OverridableInitializers.Select(input => input.Name).ToHashSet();
        using var state = _body.Start(rows.Length, dials?.Where(dial => _head is null || known.Contains(dial.Key)).ToDictionary());
        using var result = state.Run(batch, [_output], cancel)[0];
        // Token t is foretold at t - 1.
        var tokens = rows.SelectMany((row, i) => Enumerable.Range(Math.Max(1, row.From), Math.Max(0, row.Ids.Length - Math.Max(1, row.From))).Select(t => (Row: i, At: i * batch.Columns + batch.First(i) + t - 1, Id: row.Ids[t]))).ToList();
        var nll = new double[rows.Length];
        foreach (var part in tokens.Chunk((int)Math.Clamp(LogitBytes / (4 * (Vocabulary ?? 1)), 1, 4096)))
            foreach (var (token, value) in part.Zip(_head is null ? Scoring.Nll(result, part) : Nll(result, part, dials, cancel)))
                nll[token.Row] += value;
        return nll;
    }

    private float[] Nll(OrtValue hidden, (int Row, int At, int Id)[] tokens, IReadOnlyDictionary<string, float[]>? dials, CancellationToken cancel)
    {
        var width = (int)hidden.Shape[^1];
        var size = hidden.ElementType.ByteLength(width);
        var bytes = new byte[tokens.Length * size];
        foreach (var (i, token) in tokens.Index())
            hidden.Bytes().Slice((int)(token.At * size), (int)size).CopyTo(bytes.AsSpan((int)(i * size)));
        long[] Shape(long last) => _cut!.Rank == 3 ? [1, tokens.Length, last] : [tokens.Length, last];
        using var chosen = OrtValue.FromMemory(hidden.ElementType, bytes, Shape(width));
        using var targets = OrtValue.FromMemory(tokens.Select(token => (long)token.Id).ToArray(), Shape(1));
        var inputs = new Dictionary<string, OrtValue> { [_cut!.Hidden] = chosen, [HeadCut.Targets] = targets };
        var own = _head!.OverridableInitializers.Select(input => input.Name).ToHashSet();
        foreach (var (name, values) in dials ?? ImmutableDictionary<string, float[]>.Empty)
            if (own.Contains(name))
                inputs[name] = OrtValue.FromMemory(values, values.Length);
        using var results = _head.Run(inputs, [HeadCut.Nll], null, cancel);
        foreach (var (name, value) in inputs)
            if (own.Contains(name))
                value.Dispose();
        return results[HeadCut.Nll].ToSingles();
    }
}
