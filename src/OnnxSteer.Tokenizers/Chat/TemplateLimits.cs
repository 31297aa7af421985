namespace OnnxSteer.Tokenizers;

/// <summary>What a chat template may use up; templates come with models and are not to be trusted.</summary>
public sealed record TemplateLimits
{
    /// <summary>Limits that no conversation which fits a model reaches.</summary>
    public static TemplateLimits Standard { get; } = new();

    /// <summary>Steps of one rendering: an evaluated expression is one, and so are 16 characters or one item that it goes through or makes.</summary>
    public long Steps { get; init; } = 1 << 24;

    /// <summary>How deep blocks, expressions and calls may nest, when read and when rendered.</summary>
    public int Depth { get; init; } = 500;

    /// <summary>Characters of the template, and of what it renders or holds in one string.</summary>
    public int Characters { get; init; } = 1 << 24;
}

/// <summary>What is wrong with a template or its input; it gets the file and line where it leaves this folder.</summary>
internal sealed class TemplateError(string message, int line = 0) : Exception(message)
{
    /// <summary>The line of the template, from 1; 0 where the evaluator knows it.</summary>
    public int Line { get; } = line;
}
