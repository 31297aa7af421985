namespace OnnxSteer.Tokenizers;

/// <summary>Cuts texts into the pieces that the model sees one by one.</summary>
internal interface IPreTokenizer
{
    /// <summary>The pieces of the given pieces, in order, none of them empty.</summary>
    List<NormalizedString> PreTokenize(List<NormalizedString> pieces);
}
