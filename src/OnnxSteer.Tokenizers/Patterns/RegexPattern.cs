namespace OnnxSteer.Tokenizers;

/// <summary>The matches of a regular expression as Oniguruma gives them, over scalars.</summary>
internal sealed class RegexPattern : IPattern
{
    private readonly string source;
    private readonly RegexProgram program;

    private RegexPattern(string source)
    {
        this.source = source;
        program = new RegexProgram(source);
    }

    /// <summary>The words of GPT-2, built into the byte-level pre-tokenizer.</summary>
    public static RegexPattern Gpt2 { get; } = new(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");

    /// <summary>A pattern in the syntax of a tokenizer file.</summary>
    public static RegexPattern Parse(string source) => new(source);

    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        if (text.IsEmpty)
            return matches;
        var matcher = new RegexMatcher(program, text);
        var (from, lastEnd) = (0, -1);
        while (from <= text.Length && matcher.TryNext(from, out var start, out var end))
        {
            // No empty match where the last one ended.
            if (start == end && start == lastEnd)
            {
                from = end + (end < text.Length ? Scalars.LengthAt(text, end) : 1);
                continue;
            }
            matches.Add((start, end));
            from = lastEnd = end;
        }
        return matcher.IsExhausted
            ? throw new TokenizerException($"The tokenizer's regular expression '{source}' takes too long on this text; such a pattern needs exponential or quadratic time.")
            : matches;
    }
}
