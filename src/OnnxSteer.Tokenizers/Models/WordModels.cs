namespace OnnxSteer.Tokenizers;

/// <summary>Every piece is one token.</summary>
internal sealed class WordLevelModel(Vocabulary vocabulary, string unknownToken) : IModel
{
    public Vocabulary Vocabulary => vocabulary;

    public void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens)
    {
        if (!vocabulary.TryGetId(piece, out var id))
            id = vocabulary.Unknown(unknownToken, piece);
        tokens.Add(new ModelToken(id, 0, piece.Length));
    }
}

/// <summary>The longest token that a word begins with, then the longest of those that continue it, and so on; else the word is unknown.</summary>
internal sealed class WordPieceModel : IModel
{
    private readonly UnitTrie trie;
    private readonly int continuing;
    private readonly string unknownToken;
    private readonly int maxCharacters;

    /// <param name="vocabulary">The tokens.</param>
    /// <param name="unknownToken">The token for unknown words.</param>
    /// <param name="prefix">What a token begins with that continues a word.</param>
    /// <param name="maxCharacters">Words of more scalars are unknown.</param>
    public WordPieceModel(Vocabulary vocabulary, string unknownToken, string prefix, int maxCharacters)
    {
        Vocabulary = vocabulary;
        this.unknownToken = unknownToken;
        this.maxCharacters = maxCharacters;
        trie = new UnitTrie(vocabulary.Tokens);
        continuing = trie.Find(prefix);
    }

    public Vocabulary Vocabulary { get; }

    public void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens)
    {
        var before = tokens.Count;
        var isKnown = piece.Length <= maxCharacters || Scalars.CountOf(piece) <= maxCharacters;
        for (var start = 0; start < piece.Length && isKnown;)
        {
            var (id, end) = (UnitTrie.None, start);
            var node = start == 0 ? UnitTrie.Root : continuing;
            for (var i = start; i < piece.Length && node != UnitTrie.None && (node = trie.Child(node, piece[i])) != UnitTrie.None; i++)
                if (trie.ValueOf(node) is var value and not UnitTrie.None)
                    (id, end) = (value, i + 1);
            isKnown = id != UnitTrie.None;
            if (isKnown)
                tokens.Add(new ModelToken(id, start, end));
            start = end;
        }
        if (isKnown)
            return;
        tokens.RemoveRange(before, tokens.Count - before);
        tokens.Add(new ModelToken(Vocabulary.Unknown(unknownToken, piece), 0, piece.Length));
    }
}
