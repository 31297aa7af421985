using System.Runtime.InteropServices;
using System.Text;

namespace OnnxSteer.Tokenizers;

/// <summary>
/// Decodes ids as they come. What is given out stays: never half a character, never text that a later id changes.
/// All that is given out, what <see cref="Flush"/> gives included, is what <see cref="Tokenizer.Decode"/> makes of all ids.
/// </summary>
/// <remarks>
/// The one exception: with a byte fallback decoder, bytes that are no UTF-8 turn characters before them that were
/// whole into U+FFFD when decoded at once. A stream has given those characters out already and leaves them as they are.
/// Not safe for use by several threads at once.
/// </remarks>
public sealed class TextStreamer
{
    private const char Unfinished = '\uFFFD';

    private readonly Tokenizer tokenizer;
    private readonly bool skipSpecialTokens;
    private readonly bool wholeWords;

    // The ids whose text was given out last, then those whose text was not: decoders look at what is beside a token.
    private readonly List<int> window = [];
    private int settledIds;
    private string settledText = "";

    // Text of whole words mode that is settled but not given out, and how much of the unsettled text was given out.
    private readonly StringBuilder pending = new();
    private int givenAhead;

    internal TextStreamer(Tokenizer tokenizer, bool skipSpecialTokens, bool wholeWords)
    {
        this.tokenizer = tokenizer;
        this.skipSpecialTokens = skipSpecialTokens;
        this.wholeWords = wholeWords;
    }

    /// <summary>Takes the next id.</summary>
    /// <returns>The text that is final now and was not before; often empty.</returns>
    public string Append(int id)
    {
        if (!tokenizer.IsDecoded(id, skipSpecialTokens))
            return "";
        window.Add(id);
        var unsettled = Unsettled();
        if (unsettled.Length == 0 || unsettled[^1] == Unfinished)
            return wholeWords ? WholeWords("", unsettled) : "";
        Settle();
        return wholeWords ? WholeWords(unsettled, "") : unsettled;
    }

    /// <summary>Ends the stream; it can be used again from the start.</summary>
    /// <returns>What was held back.</returns>
    public string Flush()
    {
        var rest = pending.ToString() + Unsettled();
        rest = rest[Math.Min(givenAhead, rest.Length)..];
        window.Clear();
        pending.Clear();
        (settledIds, settledText, givenAhead) = (0, "", 0);
        return rest;
    }

    /// <summary>The text of the ids since the last settled one.</summary>
    private string Unsettled()
    {
        var text = tokenizer.Decode(CollectionsMarshal.AsSpan(window), skipSpecialTokens);
        return text.StartsWith(settledText, StringComparison.Ordinal)
            ? text[settledText.Length..]
            : tokenizer.Decode(CollectionsMarshal.AsSpan(window)[settledIds..], skipSpecialTokens);
    }

    private void Settle()
    {
        window.RemoveRange(0, settledIds);
        settledIds = window.Count;
        settledText = tokenizer.Decode(CollectionsMarshal.AsSpan(window), skipSpecialTokens);
    }

    /// <summary>What may be given out: up to the last space, or all if the text ends in a line break or an ideograph.</summary>
    private string WholeWords(string settled, string unsettled)
    {
        pending.Append(settled);
        var text = pending.ToString() + unsettled;
        var end = text.Length > 0 && (text[^1] == '\n' || IsIdeograph(text)) ? text.Length : text.LastIndexOf(' ') + 1;
        var given = text[Math.Min(givenAhead, end)..end];
        end = Math.Max(end, givenAhead);
        var taken = Math.Min(end, pending.Length);
        pending.Remove(0, taken);
        givenAhead = end - taken;
        return given;
    }

    private static bool IsIdeograph(string text) => Scalars.At(text, Scalars.StartBefore(text, text.Length))
        is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF) or (>= 0xF900 and <= 0xFAFF)
        or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2CEAF) or (>= 0x2F800 and <= 0x2FA1F);
}
