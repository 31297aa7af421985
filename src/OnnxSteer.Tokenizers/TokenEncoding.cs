using System.Collections.Immutable;

namespace OnnxSteer.Tokenizers;

/// <summary>A text as a tokenizer sees it: the lists have one entry for each token.</summary>
/// <param name="Ids">The ids that a model takes.</param>
/// <param name="Tokens">The tokens as they stand in the vocabulary; an added token as it stood in the text.</param>
/// <param name="Offsets">
/// The range of the text that each token came from, in UTF-16 units, the end exclusive; of a pair, within its own text.
/// Tokens that share one character, byte by byte, have its whole range. A token that is in neither text has (0, 0).
/// </param>
/// <param name="TypeIds">The number that the post-processor gives to each token's sequence, 0 for a single text as a rule.</param>
/// <param name="SpecialTokensMask">Which tokens the post-processor put there; special tokens in the text itself do not count.</param>
public sealed record TokenEncoding(
    ImmutableArray<int> Ids,
    ImmutableArray<string> Tokens,
    ImmutableArray<(int Start, int End)> Offsets,
    ImmutableArray<int> TypeIds,
    ImmutableArray<bool> SpecialTokensMask);
