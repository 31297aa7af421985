using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// The matches of a regular expression, over scalars as in the reference library and not over UTF-16 units as in .NET:
/// each scalar beyond U+FFFF is shown to the engine as one unit of the same general category, and the matches are mapped back.
/// </summary>
internal sealed partial class RegexPattern : IPattern
{
    // A pattern comes from a file that may be hostile, and backtracking can take exponential time.
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan TextTimeout = TimeSpan.FromSeconds(5);
    private const int UnitsPerExtraSecond = 1 << 18;

    private readonly Regex regex;
    private readonly string source;

    // By general category; '\0' where every such character occurs in the pattern itself.
    private readonly char[] representatives;

    private RegexPattern(string source, Regex regex, IReadOnlyList<(char First, char Last)> literals)
    {
        this.source = source;
        this.regex = regex;
        representatives = Representatives(literals);
    }

    /// <summary>The words of GPT-2, built into the byte-level pre-tokenizer.</summary>
    public static RegexPattern Gpt2 { get; } = new(Gpt2Regex().ToString(), Gpt2Regex(), [('\0', '\x7F')]);

    /// <summary>A pattern in the syntax of a tokenizer file; refuses what .NET would understand differently.</summary>
    public static RegexPattern Parse(string source)
    {
        var translation = OnigurumaTranslator.Translate(source);
        return new RegexPattern(
            source,
            new Regex(translation.Pattern, RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, MatchTimeout),
            translation.Literals);
    }

    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return [];
        if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
            return Find(text);
        var shown = new char[text.Length];
        var positions = new int[text.Length + 1];
        var count = 0;
        for (int i = 0, length; i < text.Length; i += length, count++)
        {
            length = Scalars.LengthAt(text, i);
            shown[count] = length == 1 ? text[i] : Representative(Scalars.At(text, i));
            positions[count] = i;
        }
        positions[count] = text.Length;
        var matches = Find(shown.AsSpan(0, count));
        for (var i = 0; i < matches.Count; i++)
            matches[i] = (positions[matches[i].Start], positions[matches[i].End]);
        return matches;
    }

    private List<(int Start, int End)> Find(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        var started = Stopwatch.GetTimestamp();
        var allowed = TextTimeout + TimeSpan.FromSeconds(text.Length / UnitsPerExtraSecond);
        var lastEnd = -1;
        try
        {
            foreach (var match in regex.EnumerateMatches(text))
            {
                if ((matches.Count & 0xFF) == 0xFF && Stopwatch.GetElapsedTime(started) > allowed)
                    throw TooSlow(null);

                // Oniguruma's iterator takes no empty match where the last one ended; .NET's does.
                if (match.Length == 0 && match.Index == lastEnd)
                    continue;
                lastEnd = match.Index + match.Length;
                matches.Add((match.Index, lastEnd));
            }
        }
        catch (RegexMatchTimeoutException timeout)
        {
            throw TooSlow(timeout);
        }
        return matches;
    }

    private TokenizerException TooSlow(Exception? cause) => new(
        $"The tokenizer's regular expression '{source}' takes too long on this text; such a pattern needs exponential or quadratic time.",
        cause!);

    private char Representative(int scalar)
    {
        var category = CharUnicodeInfo.GetUnicodeCategory(scalar);
        return representatives[(int)category] is var unit and not '\0'
            ? unit
            : throw new TokenizerException(
                $"The tokenizer's regular expression '{source}' cannot be run on U+{scalar:X4}: it names every BMP character of category {category}.");
    }

    private static char[] Representatives(IReadOnlyList<(char First, char Last)> literals)
    {
        var chosen = new char[30];

        // From the end: the oldest characters are the ones that patterns name.
        for (var c = '\uFFFD'; c > '\x7F'; c--)
        {
            ref var unit = ref chosen[(int)CharUnicodeInfo.GetUnicodeCategory(c)];
            if (unit == '\0' && !literals.Any(range => range.First <= c && c <= range.Last))
                unit = c;
        }
        return chosen;
    }

    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Gpt2Regex();
}
