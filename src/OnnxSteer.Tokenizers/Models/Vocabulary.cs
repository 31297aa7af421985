namespace OnnxSteer.Tokenizers;

/// <summary>The tokens of a model, by text and by id.</summary>
internal sealed class Vocabulary
{
    private readonly Dictionary<string, int> ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idsBySpan;
    private readonly string?[] names;

    /// <param name="ids">Ids by text, none negative.</param>
    /// <param name="names">Texts by id; null where no token has the id.</param>
    public Vocabulary(Dictionary<string, int> ids, string?[] names)
    {
        this.ids = ids;
        this.names = names;
        idsBySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public int Count => ids.Count;

    /// <summary>Texts by id; null where no token has the id.</summary>
    public ReadOnlySpan<string?> Names => names;

    /// <summary>All tokens and their ids.</summary>
    public IEnumerable<(string Text, int Id)> Tokens => ids.Select(token => (token.Key, token.Value));

    public bool TryGetId(ReadOnlySpan<char> token, out int id) => idsBySpan.TryGetValue(token, out id);

    public int? IdOf(string token) => ids.TryGetValue(token, out var id) ? id : null;

    public string? TokenOf(int id) => (uint)id < (uint)names.Length ? names[id] : null;

    /// <summary>The id of the unknown token, where a piece needs it.</summary>
    public int Unknown(string unknownToken, ReadOnlySpan<char> piece) => IdOf(unknownToken) ?? throw new TokenizerException(
        $"The text has '{piece[..Math.Min(piece.Length, 40)]}', which the vocabulary has not, and neither has it the unknown token '{unknownToken}'.");

    /// <summary>The ids of the tokens &lt;0x00&gt; to &lt;0xFF&gt;; -1 for those that there are not.</summary>
    public int[] ByteTokens() => [.. Enumerable.Range(0, 256).Select(value => IdOf($"<0x{value:X2}>") ?? -1)];
}
