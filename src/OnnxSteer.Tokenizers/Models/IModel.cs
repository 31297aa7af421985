namespace OnnxSteer.Tokenizers;

/// <summary>A token of a piece: its id, and the units of the piece that it covers.</summary>
internal readonly record struct ModelToken(int Id, int Start, int End);

/// <summary>Turns pieces into tokens.</summary>
internal interface IModel
{
    /// <summary>The tokens by text and by id.</summary>
    Vocabulary Vocabulary { get; }

    /// <summary>The id whose tokens are called by what they cover and not by their name in the vocabulary; -1 if there is none.</summary>
    int NamelessId => -1;

    /// <summary>Adds the tokens of a piece that is not empty.</summary>
    void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens);
}
