namespace OnnxSteer.Tokenizers;

/// <summary>The tokens of a model, by text and by id.</summary>
internal sealed class Vocabulary
{
    private readonly Dictionary<string, int> ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idsBySpan;
    private readonly string?[] tokens;

    /// <param name="ids">Ids by text, no two the same, none negative.</param>
    public Vocabulary(Dictionary<string, int> ids)
    {
        this.ids = ids;
        idsBySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        tokens = new string?[ids.Count == 0 ? 0 : ids.Values.Max() + 1];
        foreach (var (token, id) in ids)
            tokens[id] = token;
    }

    public int Count => ids.Count;

    public bool TryGetId(ReadOnlySpan<char> token, out int id) => idsBySpan.TryGetValue(token, out id);

    public string? TokenOf(int id) => (uint)id < (uint)tokens.Length ? tokens[id] : null;
}
