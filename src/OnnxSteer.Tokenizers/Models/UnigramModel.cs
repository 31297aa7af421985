using System.Buffers;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>The tokens of the greatest sum of scores, found by Viterbi's algorithm in linear time; unknown characters in a row are one token.</summary>
internal sealed class UnigramModel : IModel
{
    // How much less than the worst token an unknown character counts.
    private const double UnknownPenalty = 10;

    private readonly UnitTrie trie;
    private readonly double[] scores;
    private readonly double unknownScore;
    private readonly int unknown;
    private readonly int[]? byteTokens;

    /// <param name="vocabulary">The tokens; of equal ones the last counts.</param>
    /// <param name="scores">Log probabilities by id.</param>
    /// <param name="unknown">The id for unknown characters; -1 if there is none.</param>
    /// <param name="byteFallback">Whether an unknown character becomes the tokens &lt;0x00&gt; to &lt;0xFF&gt; of its bytes.</param>
    public UnigramModel(Vocabulary vocabulary, double[] scores, int unknown, bool byteFallback)
    {
        Vocabulary = vocabulary;
        this.scores = scores;
        this.unknown = unknown;
        unknownScore = scores.DefaultIfEmpty(0).Min() - UnknownPenalty;
        trie = new UnitTrie(vocabulary.Tokens);
        byteTokens = byteFallback ? vocabulary.ByteTokens() : null;
    }

    public Vocabulary Vocabulary { get; }

    public int NamelessId => unknown;

    public void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens)
    {
        var rented = ArrayPool<Step>.Shared.Rent(piece.Length + 1);
        var steps = rented.AsSpan(0, piece.Length + 1);
        steps.Fill(new Step(0, -1, 0));
        FindBest(piece, steps);

        // From the end to the start, then turned round.
        var before = tokens.Count;
        for (var end = piece.Length; end > 0;)
        {
            var (_, start, id) = steps[end];
            var last = end;
            if (id == unknown)
                while (start > 0 && steps[start].Id == unknown)
                    start = steps[start].Start;
            Add(piece, id, start, last, tokens);
            end = start;
        }
        tokens.Reverse(before, tokens.Count - before);
        ArrayPool<Step>.Shared.Return(rented);
    }

    private void FindBest(ReadOnlySpan<char> piece, Span<Step> steps)
    {
        for (int start = 0, length; start < piece.Length; start += length)
        {
            length = Scalars.LengthAt(piece, start);
            var here = steps[start].Score;
            var isKnown = false;
            var node = UnitTrie.Root;
            for (var i = start; i < piece.Length && (node = trie.Child(node, piece[i])) != UnitTrie.None; i++)
            {
                if (trie.ValueOf(node) is not (var id and not UnitTrie.None))
                    continue;
                isKnown |= i + 1 == start + length;
                Improve(ref steps[i + 1], new Step(scores[id] + here, start, id));
            }
            if (isKnown)
                continue;
            ref var next = ref steps[start + length];
            if (next.Start < 0 || unknownScore + here > next.Score)
                next = new Step(unknownScore + here, start, unknown >= 0 ? unknown : throw new TokenizerException(
                    $"The text has '{piece.Slice(start, length)}', which the vocabulary has not, and it names no unknown token."));
        }
    }

    private static void Improve(ref Step best, Step candidate)
    {
        if (best.Start < 0 || candidate.Score > best.Score)
            best = candidate;
    }

    /// <summary>Adds a token, or those of its bytes, the last first.</summary>
    private void Add(ReadOnlySpan<char> piece, int id, int start, int end, List<ModelToken> tokens)
    {
        // Unknown characters in a row may be a token that was worth less than they.
        if (id == unknown && !Vocabulary.TryGetId(piece[start..end], out id))
        {
            id = unknown;
            if (byteTokens is not null && TryAddBytes(piece, start, end, tokens))
                return;
        }
        tokens.Add(new ModelToken(id, start, end));
    }

    private bool TryAddBytes(ReadOnlySpan<char> piece, int start, int end, List<ModelToken> tokens)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(piece[start..end])];
        Encoding.UTF8.GetBytes(piece[start..end], bytes);
        foreach (var value in bytes)
            if (byteTokens![value] < 0)
                return false;
        for (var i = bytes.Length - 1; i >= 0; i--)
            tokens.Add(new ModelToken(byteTokens![bytes[i]], start, end));
        return true;
    }

    /// <summary>The best way to a place: its score, and the start and id of its last token; a start below 0 is none.</summary>
    private readonly record struct Step(double Score, int Start, int Id);
}
