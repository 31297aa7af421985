namespace OnnxSteer.Tokenizers;

/// <summary>A token of a piece: its id, and the units of the piece that it covers.</summary>
internal readonly record struct ModelToken(int Id, int Start, int End);

/// <summary>Turns pieces into tokens.</summary>
internal interface IModel
{
    /// <summary>How many tokens the vocabulary has.</summary>
    int VocabularySize { get; }

    /// <summary>Adds the tokens of a piece that is not empty.</summary>
    void Tokenize(ReadOnlySpan<char> piece, List<ModelToken> tokens);

    int? TokenToId(string token);

    string? IdToToken(int id);
}
