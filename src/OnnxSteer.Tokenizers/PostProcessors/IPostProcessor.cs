namespace OnnxSteer.Tokenizers;

/// <summary>A token and the range of the text that it came from.</summary>
internal readonly record struct EncodedToken(int Id, string Token, int Start, int End);

/// <summary>A text and its tokens, or tokens that a post-processor put between texts.</summary>
/// <param name="Text">The text; empty for tokens that are in no text.</param>
/// <param name="Tokens">Its tokens.</param>
/// <param name="TypeId">Which text of a pair it is to the model.</param>
/// <param name="IsSpecial">Whether a post-processor put it there.</param>
internal sealed record EncodedSequence(string Text, List<EncodedToken> Tokens, int TypeId, bool IsSpecial = false);

/// <summary>Completes the encoded sequences: one text or two.</summary>
internal interface IPostProcessor
{
    /// <summary>How many tokens are added to one text or to two.</summary>
    int AddedTokens(bool isPair);

    /// <summary>The sequences to be joined: the given ones, changed, with tokens between them.</summary>
    IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens);
}
