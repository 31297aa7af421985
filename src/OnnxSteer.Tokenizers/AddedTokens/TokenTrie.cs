using System.Buffers;

namespace OnnxSteer.Tokenizers;

/// <summary>Finds added tokens in a text, the leftmost first and of those at one place the longest.</summary>
internal sealed class TokenTrie
{
    private readonly UnitTrie trie;
    private readonly AddedToken[] tokens;
    private readonly SearchValues<char> firstUnits;

    /// <summary>A trie over the texts by which the tokens are found; of two tokens with one text the first wins.</summary>
    public TokenTrie(IReadOnlyList<(string Text, AddedToken Token)> patterns)
    {
        tokens = [.. patterns.Select(pattern => pattern.Token)];
        trie = new UnitTrie(patterns.Select((pattern, index) => (pattern.Text, index)));
        firstUnits = SearchValues.Create([.. patterns.Select(pattern => pattern.Text[0]).Distinct()]);
    }

    /// <summary>The next match that starts at or after an index.</summary>
    public (AddedToken Token, int Start, int End)? Next(ReadOnlySpan<char> text, int from)
    {
        while (text[from..].IndexOfAny(firstUnits) is var skipped and >= 0)
        {
            var start = from + skipped;
            (AddedToken Token, int Start, int End)? longest = null;
            var node = UnitTrie.Root;
            for (var i = start; i < text.Length && (node = trie.Child(node, text[i])) != UnitTrie.None; i++)
                if (trie.ValueOf(node) is var index and not UnitTrie.None)
                    longest = (tokens[index], start, i + 1);
            if (longest is not null)
                return longest;
            from = start + 1;
        }
        return null;
    }
}
