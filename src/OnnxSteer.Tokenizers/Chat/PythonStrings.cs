using System.Buffers;
using System.Globalization;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>What Python's strings can do.</summary>
internal static class PythonStrings
{
    private static readonly SearchValues<char> LineEnds = SearchValues.Create("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029");

    // Upper cases of more than one character.
    private static readonly Dictionary<char, string> LongUppers = new()
    {
        ['ß'] = "SS", ['ŉ'] = "ʼN", ['ǰ'] = "J̌", ['ΐ'] = "Ϊ́", ['ΰ'] = "Ϋ́", ['և'] = "ԵՒ", ['ẖ'] = "H̱", ['ẗ'] = "T̈", ['ẘ'] = "W̊", ['ẙ'] = "Y̊", ['ẚ'] = "Aʾ",
        ['ﬀ'] = "FF", ['ﬁ'] = "FI", ['ﬂ'] = "FL", ['ﬃ'] = "FFI", ['ﬄ'] = "FFL", ['ﬅ'] = "ST", ['ﬆ'] = "ST",
    };

    public static bool IsSpace(char unit) => char.IsWhiteSpace(unit) || unit is >= '\x1c' and <= '\x1f';

    /// <summary>Where the blanks at the end of a text begin.</summary>
    public static int EndOf(string text)
    {
        var end = text.Length;
        while (end > 0 && IsSpace(text[end - 1]))
            end--;
        return end;
    }

    public static string Strip(string text, string? characters, bool atStart, bool atEnd)
    {
        var set = characters?.EnumerateRunes().ToHashSet();
        var (start, end) = (0, text.Length);
        while (atStart && start < end && Rune.DecodeFromUtf16(text.AsSpan(start, end - start), out var rune, out var length) == OperationStatus.Done && IsStripped(rune))
            start += length;
        while (atEnd && start < end && Rune.DecodeLastFromUtf16(text.AsSpan(start, end - start), out var rune, out var length) == OperationStatus.Done && IsStripped(rune))
            end -= length;
        return text[start..end];

        bool IsStripped(Rune rune) => set is null ? rune.IsBmp && IsSpace((char)rune.Value) : set.Contains(rune);
    }

    public static string Upper(string text) => text.AsSpan().IndexOfAnyExceptInRange('\0', '\x7f') < 0 ? text.ToUpperInvariant()
        : string.Concat(text.Select(unit => LongUppers.GetValueOrDefault(unit))).Length == 0 ? text.ToUpperInvariant()
        : string.Concat(text.Select(unit => LongUppers.GetValueOrDefault(unit) ?? unit.ToString())).ToUpperInvariant();

    public static string Lower(string text)
    {
        var lower = text.Replace("İ", "i̇", StringComparison.Ordinal).ToLowerInvariant();
        if (!text.Contains('Σ', StringComparison.Ordinal))
            return lower;

        // A sigma at the end of a word has a form of its own; apostrophes, points and marks do not end one.
        var sigmas = lower.ToCharArray();
        for (var i = 1; i < lower.Length; i++)
        {
            if (lower[i] != 'σ' || lower.Length == text.Length && text[i] != 'Σ')
                continue;
            var (before, after) = (i - 1, i + 1);
            while (before >= 0 && IsIgnored(lower[before]))
                before--;
            while (after < lower.Length && IsIgnored(lower[after]))
                after++;
            sigmas[i] = before >= 0 && IsCased(new Rune(Single(lower[before]))) && !(after < lower.Length && IsCased(new Rune(Single(lower[after])))) ? 'ς' : 'σ';
        }
        return new string(sigmas);

        static char Single(char unit) => char.IsSurrogate(unit) ? ' ' : unit;
    }

    /// <summary>A form for comparing without case.</summary>
    public static string Fold(string text) => Lower(string.Concat(text.Select(unit => LongUppers.GetValueOrDefault(unit) ?? unit.ToString()))).Replace('ς', 'σ');

    public static string Capitalize(string text)
    {
        if (text.Length == 0)
            return text;
        var first = char.IsHighSurrogate(text[0]) && text.Length > 1 ? 2 : 1;
        return Titled(text[..first]) + Lower(text[first..]);
    }

    /// <summary>Each run of letters with a capital first.</summary>
    public static string Title(string text)
    {
        var titled = new StringBuilder();
        var isInside = false;
        foreach (var rune in text.EnumerateRunes())
        {
            titled.Append(isInside ? Lower(rune.ToString()) : Titled(rune.ToString()));
            isInside = IsCased(rune);
        }
        return titled.ToString();
    }

    public static string SwapCase(string text) => string.Concat(text.EnumerateRunes().Select(rune => IsUpper(rune) ? Lower(rune.ToString()) : IsLower(rune) ? Upper(rune.ToString()) : rune.ToString()));

    public static bool IsLower(string text) => text.EnumerateRunes().Any(IsLower) && !text.EnumerateRunes().Any(rune => IsUpper(rune) || IsTitle(rune));

    public static bool IsUpper(string text) => text.EnumerateRunes().Any(IsUpper) && !text.EnumerateRunes().Any(rune => IsLower(rune) || IsTitle(rune));

    public static bool IsTitle(string text) => text.EnumerateRunes().Any(IsCased) && Title(text) == text;

    public static bool Are(string text, Func<Rune, bool> kind) => text.Length > 0 && text.EnumerateRunes().All(kind);

    /// <summary>Pieces between runs of blanks, at most so many cuts; from the end if asked for.</summary>
    public static List<string> SplitBlanks(string text, int cuts, bool fromEnd)
    {
        var pieces = new List<string>();
        var (start, end) = (0, text.Length);
        while (true)
        {
            while (!fromEnd && start < end && IsSpace(text[start]))
                start++;
            while (fromEnd && start < end && IsSpace(text[end - 1]))
                end--;
            if (start == end)
                break;
            if (cuts >= 0 && pieces.Count == cuts)
            {
                pieces.Add(text[start..end]);
                break;
            }
            var at = fromEnd ? end : start;
            while (fromEnd ? at > start && !IsSpace(text[at - 1]) : at < end && !IsSpace(text[at]))
                at += fromEnd ? -1 : 1;
            pieces.Add(fromEnd ? text[at..end] : text[start..at]);
            (start, end) = fromEnd ? (start, at) : (at, end);
        }
        if (fromEnd)
            pieces.Reverse();
        return pieces;
    }

    public static List<string> Split(string text, string separator, int cuts, bool fromEnd)
    {
        if (separator.Length == 0)
            throw new TemplateError("the separator to split at is empty");
        if (!fromEnd)
            return [.. text.Split(separator, cuts is < 0 or int.MaxValue ? int.MaxValue : cuts + 1)];
        var pieces = new List<string>();
        var end = text.Length;
        while ((cuts < 0 || pieces.Count < cuts) && text.AsSpan(0, end).LastIndexOf(separator) is >= 0 and var at)
        {
            pieces.Add(text[(at + separator.Length)..end]);
            end = at;
        }
        pieces.Add(text[..end]);
        pieces.Reverse();
        return pieces;
    }

    public static List<string> Lines(string text, bool keepEnds)
    {
        var lines = new List<string>();
        for (var start = 0; start < text.Length;)
        {
            var end = text.AsSpan(start).IndexOfAny(LineEnds) is >= 0 and var found ? start + found : text.Length;
            var next = end == text.Length ? end : end + (text[end] == '\r' && end + 1 < text.Length && text[end + 1] == '\n' ? 2 : 1);
            lines.Add(text[start..(keepEnds ? next : end)]);
            start = next;
        }
        return lines;
    }

    public static int Count(string text, string part)
    {
        if (part.Length == 0)
            return Python.Length(text) + 1;
        var count = 0;
        for (var at = text.IndexOf(part, StringComparison.Ordinal); at >= 0; at = text.IndexOf(part, at + part.Length, StringComparison.Ordinal))
            count++;
        return count;
    }

    public static string Replace(TemplateEvaluator evaluator, string text, string old, string with, int most)
    {
        evaluator.ChargeSearch(text, old);
        var count = Math.Min(Count(text, old), most < 0 ? int.MaxValue : most);
        evaluator.Room(text.Length + (long)count * (with.Length - old.Length));
        var result = new StringBuilder();
        if (old.Length == 0)
        {
            foreach (var (i, character) in Python.Characters(text).Index())
                result.Append(i < count ? with : "").Append(character);
            return result.Append(count > Python.Length(text) ? with : "").ToString();
        }
        var start = 0;
        for (; count > 0; count--)
        {
            var at = text.IndexOf(old, start, StringComparison.Ordinal);
            result.Append(text, start, at - start).Append(with);
            start = at + old.Length;
        }
        return result.Append(text, start, text.Length - start).ToString();
    }

    /// <summary>Filled up to a width: -1 at the right, 1 at the left, 0 on both sides.</summary>
    public static string Pad(TemplateEvaluator evaluator, string text, int width, string fill, int side)
    {
        if (Python.Length(fill) != 1)
            throw new TemplateError("the fill character must be exactly one character");
        var missing = width - Python.Length(text);
        if (missing <= 0)
            return text;
        evaluator.Room(text.Length + (long)missing * fill.Length);

        // As Python's center: the odd one goes to the left where the width is odd.
        var left = side < 0 ? 0 : side > 0 ? missing : missing / 2 + (missing & width & 1);
        return string.Concat(Enumerable.Repeat(fill, left)) + text + string.Concat(Enumerable.Repeat(fill, missing - left));
    }

    private static bool IsTitle(Rune rune) => Rune.GetUnicodeCategory(rune) == UnicodeCategory.TitlecaseLetter;

    // Roman numerals and letters in circles have cases too, and are no letters.
    private static bool IsUpper(Rune rune) => Rune.IsUpper(rune) || rune.Value is >= 0x2160 and <= 0x216f or >= 0x24b6 and <= 0x24cf;

    private static bool IsLower(Rune rune) => Rune.IsLower(rune) || rune.Value is >= 0x2170 and <= 0x217f or >= 0x24d0 and <= 0x24e9 or 0xaa or 0xba;

    private static bool IsCased(Rune rune) => IsUpper(rune) || IsLower(rune) || IsTitle(rune);

    private static bool IsIgnored(char unit) => unit is '\'' or '.' or ':' or '^' or '`' or '\u00b7' or '\u2018' or '\u2019' || CharUnicodeInfo.GetUnicodeCategory(unit)
        is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;

    private static string Titled(string character) => character switch
    {
        "ǆ" or "Ǆ" => "ǅ",
        "ǉ" or "Ǉ" => "ǈ",
        "ǌ" or "Ǌ" => "ǋ",
        "ǳ" or "Ǳ" => "ǲ",
        "ŉ" => "ʼN",
        _ => Upper(character) is { Length: > 1 } upper && character.Length == 1 ? upper[0] + Lower(upper[1..]) : Upper(character),
    };
}
