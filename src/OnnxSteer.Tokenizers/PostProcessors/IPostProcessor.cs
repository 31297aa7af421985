namespace OnnxSteer.Tokenizers;

/// <summary>A token on its way to an <see cref="TokenEncoding"/>.</summary>
internal readonly record struct EncodedToken(int Id, string Token, int Start, int End, int TypeId = 0, bool IsSpecial = false);

/// <summary>A text and its tokens; tokens that are in no text have an empty one.</summary>
internal sealed record EncodedSequence(string Text, IReadOnlyList<EncodedToken> Tokens);

/// <summary>Completes the encoded sequences: one text or two.</summary>
internal interface IPostProcessor
{
    /// <summary>The sequences to be joined: the given ones, changed, with tokens between them.</summary>
    IReadOnlyList<EncodedSequence> Process(IReadOnlyList<EncodedSequence> sequences, bool addSpecialTokens);
}
