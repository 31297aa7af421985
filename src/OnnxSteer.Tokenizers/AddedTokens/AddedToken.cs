namespace OnnxSteer.Tokenizers;

/// <summary>A token that is looked for in the text before the model sees it.</summary>
/// <param name="Id">The token's id.</param>
/// <param name="Content">The token's text.</param>
/// <param name="SingleWord">Whether it counts only where no word character touches it.</param>
/// <param name="LStrip">Whether it takes the whitespace before it.</param>
/// <param name="RStrip">Whether it takes the whitespace after it.</param>
/// <param name="Normalized">Whether it is looked for in the normalized text, itself normalized.</param>
/// <param name="Special">Whether decoding may leave it out.</param>
internal sealed record AddedToken(
    int Id, string Content, bool SingleWord, bool LStrip, bool RStrip, bool Normalized, bool Special);
