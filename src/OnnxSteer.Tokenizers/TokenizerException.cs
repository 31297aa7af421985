namespace OnnxSteer.Tokenizers;

/// <summary>A tokenizer file that cannot be used, or a text that its tokenizer cannot take. The message says where and why.</summary>
public sealed class TokenizerException : Exception
{
    /// <summary>An exception without a message of its own.</summary>
    public TokenizerException()
    {
    }

    /// <summary>An exception that says what was wrong.</summary>
    public TokenizerException(string message)
        : base(message)
    {
    }

    /// <summary>An exception that says what was wrong, and what caused it.</summary>
    public TokenizerException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
