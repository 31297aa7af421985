using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace OnnxSteer.Tokenizers;

/// <summary>A text as a tokenizer sees it: the lists have one entry for each token.</summary>
/// <param name="Ids">The ids that a model takes.</param>
/// <param name="Tokens">The tokens as they stand in the vocabulary; an added token, and an unknown one of Unigram, as it stood in the text.</param>
/// <param name="Offsets">
/// The range of the text that each token came from, in UTF-16 units, the end exclusive; of a pair, within its own text.
/// Tokens that share one character, byte by byte, have its whole range. A token that is in neither text has (0, 0).
/// </param>
/// <param name="TypeIds">The number that the post-processor gives to each token's sequence, 0 for a single text as a rule.</param>
/// <param name="SpecialTokensMask">Which tokens the post-processor or padding put there; special tokens in the text itself do not count.</param>
/// <param name="AttentionMask">Which tokens are no padding.</param>
public sealed record TokenEncoding(
    ImmutableArray<int> Ids,
    ImmutableArray<string> Tokens,
    ImmutableArray<(int Start, int End)> Offsets,
    ImmutableArray<int> TypeIds,
    ImmutableArray<bool> SpecialTokensMask,
    ImmutableArray<bool> AttentionMask)
{
    internal static TokenEncoding Of(IReadOnlyList<EncodedSequence> sequences, Padding? padding)
    {
        var count = sequences.Sum(sequence => sequence.Tokens.Count);
        var length = count;
        if (padding is not null)
        {
            length = Math.Max(padding.Length ?? 0, count);
            if (padding.MultipleOf > 1 && length % padding.MultipleOf is var over and > 0)
                length = checked(length + padding.MultipleOf - over);
        }
        var (ids, tokens, offsets) = (new int[length], new string[length], new (int, int)[length]);
        var (typeIds, isSpecial, isReal) = (new int[length], new bool[length], new bool[length]);
        var at = padding?.Direction == Side.Left ? length - count : 0;
        Array.Fill(isReal, true, at, count);
        if (count < length)
        {
            Array.Fill(ids, padding!.PadId);
            Array.Fill(tokens, padding.PadToken);
            Array.Fill(typeIds, padding.PadTypeId);
            Array.Fill(isSpecial, true);
            Array.Fill(isSpecial, false, at, count);
        }
        foreach (var sequence in sequences)
        {
            Array.Fill(typeIds, sequence.TypeId, at, sequence.Tokens.Count);
            Array.Fill(isSpecial, sequence.IsSpecial, at, sequence.Tokens.Count);
            foreach (var token in sequence.Tokens)
            {
                (ids[at], tokens[at], offsets[at]) = (token.Id, token.Token, (token.Start, token.End));
                at++;
            }
        }
        return new TokenEncoding(
            ImmutableCollectionsMarshal.AsImmutableArray(ids), ImmutableCollectionsMarshal.AsImmutableArray(tokens), ImmutableCollectionsMarshal.AsImmutableArray(offsets),
            ImmutableCollectionsMarshal.AsImmutableArray(typeIds), ImmutableCollectionsMarshal.AsImmutableArray(isSpecial), ImmutableCollectionsMarshal.AsImmutableArray(isReal));
    }
}
