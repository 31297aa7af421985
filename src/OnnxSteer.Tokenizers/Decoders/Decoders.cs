using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Unicode;

namespace OnnxSteer.Tokenizers;

/// <summary>Several decoders in a row.</summary>
internal sealed record SequenceDecoder(IReadOnlyList<IDecoder> Decoders) : IDecoder
{
    public List<string> Decode(List<string> tokens) => Decoders.Aggregate(tokens, (decoded, decoder) => decoder.Decode(decoded));
}

/// <summary>Joins all tokens into one.</summary>
internal sealed record FuseDecoder : IDecoder
{
    public List<string> Decode(List<string> tokens) => [string.Concat(tokens)];
}

/// <summary>Replaces what a pattern matches in each token; the content is literal.</summary>
internal sealed record ReplaceDecoder(IPattern Pattern, string Content) : IDecoder
{
    private readonly string? literal = Pattern is LiteralPattern { Literal: { Length: > 0 } text } ? text : null;

    public List<string> Decode(List<string> tokens) => tokens.ConvertAll<string>(literal is null
        ? Replace
        : token => token.Contains(literal, StringComparison.Ordinal) ? token.Replace(literal, Content, StringComparison.Ordinal) : token);

    private string Replace(string token)
    {
        var matches = Pattern.Matches(token);
        if (matches.Count == 0)
            return token;
        var replaced = new StringBuilder(token.Length);
        var copied = 0;
        foreach (var (start, end) in matches)
        {
            replaced.Append(token, copied, start - copied).Append(Content);
            copied = end;
        }
        return replaced.Append(token, copied, token.Length - copied).ToString();
    }
}

/// <summary>Takes a character off the ends of each token, up to so many times.</summary>
internal sealed record StripDecoder(string Content, int Start, int Stop) : IDecoder
{
    public List<string> Decode(List<string> tokens) => tokens.ConvertAll(token =>
    {
        var span = token.AsSpan();
        for (var i = 0; i < Start && span.StartsWith(Content, StringComparison.Ordinal); i++)
            span = span[Content.Length..];
        for (var i = 0; i < Stop && span.EndsWith(Content, StringComparison.Ordinal); i++)
            span = span[..^Content.Length];
        return span.Length == token.Length ? token : span.ToString();
    });
}

/// <summary>Turns SentencePiece's marks back into spaces, but for those that begin the text.</summary>
internal sealed record MetaspaceDecoder(string Replacement, PrependScheme PrependScheme) : IDecoder
{
    public List<string> Decode(List<string> tokens)
    {
        var decoded = tokens.ConvertAll(token => token.Replace(Replacement, " ", StringComparison.Ordinal));
        if (decoded.Count > 0 && PrependScheme != PrependScheme.Never)
            decoded[0] = tokens[0].Replace(Replacement, "", StringComparison.Ordinal);
        return decoded;
    }
}

/// <summary>Turns the tokens &lt;0x00&gt; to &lt;0xFF&gt; into the text whose UTF-8 they are.</summary>
internal sealed record ByteFallbackDecoder : IDecoder
{
    public List<string> Decode(List<string> tokens)
    {
        var decoded = new List<string>(tokens.Count);
        var run = new List<byte>();
        void Flush()
        {
            if (run.Count == 0)
                return;
            var bytes = run.ToArray();
            run.Clear();
            if (Utf8.IsValid(bytes))
                decoded.Add(Encoding.UTF8.GetString(bytes));
            else
                decoded.AddRange(Enumerable.Repeat("\uFFFD", bytes.Length)); // One for each byte, not one for each bad sequence.
        }

        foreach (var token in tokens)
            if (ByteOf(token) is { } value)
                run.Add(value);
            else
            {
                Flush();
                decoded.Add(token);
            }
        Flush();
        return decoded;
    }

    private static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', _, _, '>']
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;
}

/// <summary>Turns GPT-2's visible characters back into bytes and these into text; what is no UTF-8 becomes U+FFFD.</summary>
internal sealed record ByteLevelDecoder : IDecoder
{
    public List<string> Decode(List<string> tokens)
    {
        var bytes = new List<byte>(tokens.Sum(token => token.Length));
        foreach (var token in tokens)
        {
            var before = bytes.Count;
            foreach (var unit in token)
                if (ByteUnits.TryGetByte(unit, out var value))
                    bytes.Add(value);
                else
                {
                    // An added token may hold characters that stand for no byte; then all of it is plain text.
                    bytes.RemoveRange(before, bytes.Count - before);
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                    break;
                }
        }
        return [Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes))];
    }
}
