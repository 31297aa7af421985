namespace OnnxSteer.Tokenizers;

/// <summary>Turns WordPiece's tokens into words: those that continue one lose their prefix, the others get a space.</summary>
internal sealed record WordPieceDecoder(string Prefix, bool Cleanup) : IDecoder
{
    public List<string> Decode(List<string> tokens)
    {
        var decoded = new List<string>(tokens.Count);
        for (var i = 0; i < tokens.Count; i++)
        {
            var token = tokens[i];
            if (i > 0)
                token = token.StartsWith(Prefix, StringComparison.Ordinal) ? token[Prefix.Length..] : $" {token}";
            decoded.Add(Cleanup ? Spaces.Cleanup(token) : token);
        }
        return decoded;
    }
}

/// <summary>Turns the suffix that ends a word into a space, but for the last token's.</summary>
internal sealed record BpeDecoder(string Suffix) : IDecoder
{
    public List<string> Decode(List<string> tokens)
    {
        var decoded = new List<string>(tokens.Count);
        for (var i = 0; i < tokens.Count; i++)
            decoded.Add(Suffix.Length == 0 ? tokens[i] : tokens[i].Replace(Suffix, i + 1 < tokens.Count ? " " : "", StringComparison.Ordinal));
        return decoded;
    }
}

/// <summary>Turns what a speech model hears frame by frame into text: repeats and blanks are left out.</summary>
internal sealed record CtcDecoder(string PadToken, string WordDelimiter, bool Cleanup) : IDecoder
{
    public List<string> Decode(List<string> tokens)
    {
        var decoded = new List<string>(tokens.Count);
        for (var i = 0; i < tokens.Count; i++)
        {
            if (i > 0 && tokens[i] == tokens[i - 1])
                continue;
            var token = PadToken.Length == 0 ? tokens[i] : tokens[i].Replace(PadToken, "", StringComparison.Ordinal);
            if (Cleanup)
                token = WordDelimiter.Length == 0 ? Spaces.Cleanup(token) : Spaces.Cleanup(token).Replace(WordDelimiter, " ", StringComparison.Ordinal);
            if (token.Length > 0)
                decoded.Add(token);
        }
        return decoded;
    }
}

/// <summary>The spaces that tokenizing English puts before punctuation and contractions.</summary>
internal static class Spaces
{
    private static readonly (string Spaced, string Plain)[] Pairs =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    public static string Cleanup(string text)
    {
        if (!text.Contains(' ', StringComparison.Ordinal))
            return text;
        foreach (var (spaced, plain) in Pairs)
            text = text.Replace(spaced, plain, StringComparison.Ordinal);
        return text;
    }
}
