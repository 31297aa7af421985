namespace OnnxSteer.Tokenizers;

/// <summary>Changes a text before it is cut up.</summary>
internal interface INormalizer
{
    NormalizedString Normalize(NormalizedString text);
}
