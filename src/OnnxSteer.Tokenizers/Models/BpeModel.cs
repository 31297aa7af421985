using System.Runtime.InteropServices;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>What a BPE model does besides merging.</summary>
/// <param name="UnkToken">The token for what the vocabulary does not have; without one that is dropped.</param>
/// <param name="FuseUnk">Whether unknown characters in a row become one token.</param>
/// <param name="ByteFallback">Whether an unknown character becomes the tokens &lt;0x00&gt; to &lt;0xFF&gt; of its bytes.</param>
/// <param name="IgnoreMerges">Whether a piece that is in the vocabulary is one token whatever the merges say.</param>
/// <param name="Prefix">What is put before every character of a piece but the first.</param>
/// <param name="Suffix">What is put behind the last character of a piece.</param>
internal sealed record BpeOptions(string? UnkToken, bool FuseUnk, bool ByteFallback, bool IgnoreMerges, string Prefix = "", string Suffix = "");

/// <summary>Byte pair encoding: starts from characters and merges neighbours in the order of the merges.</summary>
internal sealed class BpeModel : IModel
{
    private const int MaximumCachedLength = 64;
    private const int CacheSlots = 1 << 15;

    private readonly MergeTable merges;
    private readonly BpeOptions options;
    private readonly WordBoundary? boundary;
    private readonly int[] byteTokens;

    // Of the characters that take one unit; -1 for those that are no token.
    private readonly int[] unitTokens = new int[char.MaxValue + 1];

    // Words repeat. Entries are immutable and a slot is replaced whole, so that threads share it without a lock.
    private readonly CachedPiece?[] cache = new CachedPiece?[CacheSlots];

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="merges">The merges.</param>
    /// <param name="options">What else.</param>
    /// <param name="boundary">Where long pieces may be cut without any merge noticing, if anywhere.</param>
    public BpeModel(Vocabulary vocabulary, MergeTable merges, BpeOptions options, WordBoundary? boundary)
    {
        Vocabulary = vocabulary;
        this.merges = merges;
        this.options = options;
        this.boundary = boundary;
        byteTokens = options.ByteFallback ? vocabulary.ByteTokens() : [];
        Array.Fill(unitTokens, -1);
        foreach (var (text, id) in vocabulary.Tokens)
            if (text.Length == 1)
                unitTokens[text[0]] = id;
    }

    public Vocabulary Vocabulary { get; }

    public void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens)
    {
        if (options.IgnoreMerges && Vocabulary.TryGetId(piece, out var whole))
        {
            tokens.Add(new ModelToken(whole, 0, piece.Length));
            return;
        }
        if (boundary is null)
        {
            TokenizeWord(piece, 0, tokens);
            return;
        }
        var start = 0;
        for (var next = 0; next < piece.Length; start = next)
        {
            next = boundary.Next(piece, start);
            TokenizeWord(piece[start..next], start, tokens);
        }
    }

    private void TokenizeWord(ReadOnlySpan<char> word, int offset, List<ModelToken> tokens)
    {
        if (word.Length > MaximumCachedLength)
        {
            Merge(word, offset, tokens);
            return;
        }
        ref var slot = ref cache[PieceHash.Of(word) & (CacheSlots - 1)];
        var cached = Volatile.Read(ref slot);
        if (cached is null || !word.SequenceEqual(cached.Piece))
        {
            var before = tokens.Count;
            Merge(word, 0, tokens);
            cached = new CachedPiece(word.ToString(), CollectionsMarshal.AsSpan(tokens)[before..].ToArray());
            tokens.RemoveRange(before, tokens.Count - before);
            Volatile.Write(ref slot, cached);
        }
        foreach (var token in cached.Tokens)
            tokens.Add(new ModelToken(token.Id, token.Start + offset, token.End + offset));
    }

    private void Merge(ReadOnlySpan<char> piece, int offset, List<ModelToken> tokens)
    {
        var symbols = new BpeWord(piece.Length);
        if (!TryAddSymbols(piece, symbols))
        {
            MergeOutOfStep(piece, offset, tokens);
            return;
        }
        symbols.MergeAll(merges);
        symbols.AddTo(tokens, offset);
    }

    /// <summary>Adds the characters of a piece; false where the reference's offsets and the places of the characters differ.</summary>
    private bool TryAddSymbols(ReadOnlySpan<char> piece, BpeWord symbols)
    {
        (int Start, int End)? pending = null;
        for (int start = 0, end; start < piece.Length; start = end)
        {
            end = start + Scalars.LengthAt(piece, start);
            if (TryGetSymbol(piece, start, end, out var id))
            {
                if (pending is { } range)
                    symbols.Add(Unknown(piece[range.Start..range.End]), range.Start, range.End);
                pending = null;
                symbols.Add(id, start, end);
            }
            else if (options.ByteFallback && TryGetBytes(piece, start, end) is { } bytes)
            {
                if (pending is not null || options.Prefix.Length + options.Suffix.Length > 0)
                    return false;
                foreach (var value in bytes)
                    symbols.Add(byteTokens[value], start, end);
            }
            else if (options.UnkToken is null)
                return false;
            else if (options.FuseUnk || pending is null)
                pending = (pending?.Start ?? start, end);
            else
            {
                symbols.Add(Unknown(piece[pending.Value.Start..pending.Value.End]), pending.Value.Start, pending.Value.End);
                pending = (start, end);
            }
        }
        if (pending is { } last)
            symbols.Add(Unknown(piece[last.Start..last.End]), last.Start, last.End);
        return true;
    }

    private int Unknown(ReadOnlySpan<char> piece) => Vocabulary.Unknown(options.UnkToken!, piece);

    /// <summary>
    /// The tokens laid one behind another by the bytes that each took, as the reference does it: an unknown character that is
    /// dropped moves those after it, and one before bytes that stand for a character comes after these.
    /// </summary>
    private void MergeOutOfStep(ReadOnlySpan<char> piece, int offset, List<ModelToken> tokens)
    {
        var symbols = new BpeWord(piece.Length);
        var (at, pending) = (0, 0);
        var unitsOf = new List<(int Start, int End)>(piece.Length); // By byte.
        void Add(int id, int size)
        {
            symbols.Add(id, at, at + size);
            at += size;
        }

        for (int start = 0, end; start < piece.Length; start = end)
        {
            end = start + Scalars.LengthAt(piece, start);
            var size = new Rune(Scalars.At(piece, start)).Utf8SequenceLength;
            for (var i = 0; i < size; i++)
                unitsOf.Add((start, end));
            if (TryGetSymbol(piece, start, end, out var id))
            {
                if (pending > 0)
                    Add(Unknown(piece), pending);
                pending = 0;
                Add(id, size);
            }
            else if (options.ByteFallback && TryGetBytes(piece, start, end) is { } bytes)
                foreach (var value in bytes)
                    Add(byteTokens[value], 1);
            else if (options.UnkToken is not null)
            {
                if (pending > 0 && !options.FuseUnk)
                {
                    Add(Unknown(piece), pending);
                    pending = 0;
                }
                pending += size;
            }
        }
        if (pending > 0)
            Add(Unknown(piece), pending);
        symbols.MergeAll(merges);
        var first = tokens.Count;
        symbols.AddTo(tokens, 0);
        for (var i = first; i < tokens.Count; i++)
        {
            var (_, start, end) = tokens[i];
            var (from, to) = (Math.Min(start, unitsOf.Count - 1), Math.Min(end, unitsOf.Count) - 1);
            tokens[i] = new ModelToken(tokens[i].Id, offset + unitsOf[from].Start, offset + unitsOf[to].End);
        }
    }

    private bool TryGetSymbol(ReadOnlySpan<char> piece, int start, int end, out int id)
    {
        var hasPrefix = start > 0 && options.Prefix.Length > 0;
        var hasSuffix = end == piece.Length && options.Suffix.Length > 0;
        if (hasPrefix || hasSuffix)
            return Vocabulary.TryGetId(Symbol(piece, start, end), out id);
        if (end - start > 1)
            return Vocabulary.TryGetId(piece[start..end], out id);
        id = unitTokens[piece[start]];
        return id >= 0;
    }

    private string Symbol(ReadOnlySpan<char> piece, int start, int end) =>
        $"{(start > 0 ? options.Prefix : "")}{piece[start..end]}{(end == piece.Length ? options.Suffix : "")}";

    private byte[]? TryGetBytes(ReadOnlySpan<char> piece, int start, int end)
    {
        var bytes = Encoding.UTF8.GetBytes(Symbol(piece, start, end));
        foreach (var value in bytes)
            if (byteTokens[value] < 0)
                return null;
        return bytes;
    }

    private sealed record CachedPiece(string Piece, ModelToken[] Tokens);
}
