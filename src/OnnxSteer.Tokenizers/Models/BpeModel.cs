using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>What a BPE model does besides merging.</summary>
/// <param name="UnkToken">The token for what the vocabulary does not have; without one that is dropped.</param>
/// <param name="FuseUnk">Whether unknown characters in a row become one token.</param>
/// <param name="ByteFallback">Whether an unknown character becomes the tokens &lt;0x00&gt; to &lt;0xFF&gt; of its bytes.</param>
/// <param name="IgnoreMerges">Whether a piece that is in the vocabulary is one token whatever the merges say.</param>
internal sealed record BpeOptions(string? UnkToken, bool FuseUnk, bool ByteFallback, bool IgnoreMerges);

/// <summary>Byte pair encoding: starts from characters and merges neighbours in the order of the merges.</summary>
internal sealed class BpeModel : IModel
{
    private const int Missing = -1;
    private const int MaximumCachedLength = 64;
    private const int CacheSlots = 1 << 13;

    private readonly Vocabulary vocabulary;
    private readonly MergeTable merges;
    private readonly BpeOptions options;
    private readonly int unknown = Missing;
    private readonly int[] byteTokens = [];

    // Words repeat. Entries are immutable and a slot is replaced whole, so that threads share it without a lock.
    private readonly CachedPiece?[] cache = new CachedPiece?[CacheSlots];

    public BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options)
    {
        this.vocabulary = vocabulary;
        this.merges = merges;
        this.options = options;
        if (options.UnkToken is { } token && vocabulary.TryGetId(token, out var id))
            unknown = id;
        if (options.ByteFallback)
            byteTokens = [.. Enumerable.Range(0, 256).Select(value => vocabulary.TryGetId($"<0x{value:X2}>", out var id) ? id : Missing)];
    }

    public int VocabularySize => vocabulary.Count;

    public int? TokenToId(string token) => vocabulary.TryGetId(token, out var id) ? id : null;

    public string? IdToToken(int id) => vocabulary.TokenOf(id);

    public void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens)
    {
        if (options.IgnoreMerges && vocabulary.TryGetId(piece, out var whole))
        {
            tokens.Add(new ModelToken(whole, 0, piece.Length));
            return;
        }
        if (piece.Length > MaximumCachedLength)
        {
            tokens.AddRange(Merge(piece));
            return;
        }
        ref var slot = ref cache[string.GetHashCode(piece) & (CacheSlots - 1)];
        var cached = Volatile.Read(ref slot);
        if (cached is null || !piece.SequenceEqual(cached.Piece))
            Volatile.Write(ref slot, cached = new CachedPiece(piece.ToString(), Merge(piece)));
        tokens.AddRange(cached.Tokens);
    }

    private ModelToken[] Merge(ReadOnlySpan<char> piece)
    {
        var word = new BpeWord(options.ByteFallback ? 3 * piece.Length : piece.Length);
        (int Start, int End)? pending = null;
        void Flush()
        {
            if (pending is { } range)
                word.Add(unknown, range.Start, range.End);
            pending = null;
        }

        for (int start = 0, end; start < piece.Length; start = end)
        {
            end = start + Scalars.LengthAt(piece, start);
            var character = piece[start..end];
            if (vocabulary.TryGetId(character, out var id))
            {
                Flush();
                word.Add(id, start, end);
            }
            else if (options.ByteFallback && TryAddBytes(word, character, start, end))
            {
                // An unknown character before these bytes comes after them: the reference library keeps it that way.
            }
            else if (options.UnkToken is not null)
            {
                if (unknown == Missing)
                    throw new TokenizerException(
                        $"The text has '{character}', which the vocabulary has not, and neither has it the unknown token '{options.UnkToken}'.");
                if (!options.FuseUnk)
                    Flush();
                pending = (pending?.Start ?? start, end);
            }
        }
        Flush();
        word.MergeAll(merges);
        return word.ToTokens();
    }

    private bool TryAddBytes(BpeWord word, ReadOnlySpan<char> character, int start, int end)
    {
        Span<byte> bytes = stackalloc byte[4];
        bytes = bytes[..new Rune(Scalars.At(character, 0)).EncodeToUtf8(bytes)];
        foreach (var value in bytes)
            if (byteTokens[value] == Missing)
                return false;
        foreach (var value in bytes)
            word.Add(byteTokens[value], start, end);
        return true;
    }

    private sealed record CachedPiece(string Piece, ModelToken[] Tokens);
}
