using System.Globalization;
using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>Some of a prompt's tokens, as a slice: <c>0:10</c> the first ten, <c>-5:</c> the last five.</summary>
/// <param name="From">The first token; below 0 counted from the end; null for the beginning.</param>
/// <param name="To">Behind the last token; below 0 counted from the end; null for the end.</param>
public sealed record TokenRange(int? From, int? To)
{
    /// <summary>Reads <c>FROM:TO</c>; either may be left out.</summary>
    /// <exception cref="OnnxException">It is no such range, or holds no token of any prompt.</exception>
    public static TokenRange Parse(string text)
    {
        if (text.Split(':') is [var from, var to] && TryNumber(from, out var start) && TryNumber(to, out var end)
            && !(start >= end && start >= 0 == end >= 0))
            return new TokenRange(start, end);
        throw new OnnxException($"'{text}' is no range of tokens; FROM:TO was expected, as in 0:10 (the first ten), -5: (the last five) or 1:-1.");
    }

    /// <summary>The part of the tokens from <paramref name="start"/> to before <paramref name="end"/>; empty where the range lies beyond.</summary>
    public (int Start, int End) Of(int start, int end)
    {
        var count = end - start;
        int At(int position) => start + Math.Clamp(position < 0 ? count + position : position, 0, count);
        var first = At(From ?? 0);
        return (first, Math.Max(first, To is { } to ? At(to) : end));
    }

    /// <summary>The range, as <see cref="Parse"/> reads it.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{From}:{To}");

    private static bool TryNumber(string text, out int? number)
    {
        number = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var parsed) ? parsed : null;
        return number is not null || text.Length == 0;
    }
}
