namespace OnnxSteer.Tokenizers;

/// <summary>Turns tokens back into text; what it returns is joined without anything between.</summary>
internal interface IDecoder
{
    List<string> Decode(List<string> tokens);
}
