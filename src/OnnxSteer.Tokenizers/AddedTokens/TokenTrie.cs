using System.Buffers;

namespace OnnxSteer.Tokenizers;

/// <summary>Finds added tokens in a text, the leftmost first and of those at one place the longest.</summary>
internal sealed class TokenTrie
{
    private const int Root = 0;

    private readonly Dictionary<(int Node, char Unit), int> children = [];
    private readonly List<AddedToken?> tokens = [null];
    private readonly SearchValues<char> firstUnits;

    /// <summary>A trie over the texts by which the tokens are found; of two tokens with one text the first wins.</summary>
    public TokenTrie(IReadOnlyList<(string Text, AddedToken Token)> patterns)
    {
        foreach (var (text, token) in patterns)
        {
            var node = Root;
            foreach (var unit in text)
            {
                if (!children.TryGetValue((node, unit), out var child))
                {
                    children.Add((node, unit), child = tokens.Count);
                    tokens.Add(null);
                }
                node = child;
            }
            tokens[node] ??= token;
        }
        firstUnits = SearchValues.Create([.. patterns.Select(pattern => pattern.Text[0]).Distinct()]);
    }

    /// <summary>The next match that starts at or after an index.</summary>
    public (AddedToken Token, int Start, int End)? Next(ReadOnlySpan<char> text, int from)
    {
        while (text[from..].IndexOfAny(firstUnits) is var skipped and >= 0)
        {
            var start = from + skipped;
            (AddedToken Token, int Start, int End)? longest = null;
            var node = Root;
            for (var i = start; i < text.Length && children.TryGetValue((node, text[i]), out node); i++)
                if (tokens[node] is { } token)
                    longest = (token, start, i + 1);
            if (longest is not null)
                return longest;
            from = start + 1;
        }
        return null;
    }
}
