using System.Collections.Immutable;
using System.CommandLine;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary>Prompts of one population, read and encoded.</summary>
internal sealed record Data(string Name, PromptSet Prompts, TokenizedPrompts Tokens)
{
    /// <summary>Looks for massive activations in a sample, and says what was found.</summary>
    public MassiveReport Look(Terminal terminal, Model model, ImmutableArray<Site> sites, SessionOptions? options, CancellationToken cancel)
    {
        var report = MassiveActivations.Find(model, sites, Tokens.Rows, options, cancel);
        if (report.Note() is { } note)
            terminal.Note($"{Name}: {note}");
        return report;
    }

    /// <summary>What results say of it.</summary>
    public object Json => new { Prompts = Prompts.Count, Prompts.Samples, Tokens.Truncated, Tokens = Tokens.ChosenBy ?? "all", Longest = Tokens.Rows.Max(row => row.Length) };
}

/// <summary>The options that say which prompts, and which of their tokens, activations are taken from.</summary>
internal sealed class DataOptions
{
    private readonly Option<string?> _column = Options.Column();
    private readonly Option<string?> _weight = new("--weight-column") { Description = "The column, or key of a row, that says how many samples a prompt stands for: a whole number. It runs once and counts so often." };
    private readonly Option<int> _maxTokens = Options.MaxTokens();
    private readonly Option<int?> _maxSamples = new("--max-samples") { Description = "At most so many prompts of each file, drawn by --seed; they keep their order." };
    private readonly Option<int> _seed = Options.Natural("--seed", "Seed of the draws of --max-samples and --balance.", 0);

    private readonly Option<string?> _tokens = new("--tokens")
    {
        Description = "Which tokens are pooled, as FROM:TO: 0:10 the first ten, -5: the last five (default: all). Of a row with \"prompt\" and \"completion\" only those of the completion are, and the range counts among them.",
    };

    private readonly Option<bool> _skipFirst = new("--skip-first") { Description = "Leave the first token of each prompt out of the pooling: where a model knows no token for the beginning, it holds massive activations." };

    private readonly ChatFlags _chat = new();

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _column, _weight, _maxTokens, _maxSamples, _seed, _tokens, _skipFirst })
            command.Options.Add(option);
        _chat.AddTo(command);
    }

    public bool SkipsFirst(ParseResult call) => call.GetValue(_skipFirst);

    public int Seed(ParseResult call) => call.GetValue(_seed);

    /// <summary>Reads prompts, all of them.</summary>
    public PromptSet Read(ParseResult call, string path, string? labelColumn = null) =>
        PromptFile.Read(path, new PromptColumns(call.GetValue(_column), labelColumn, call.GetValue(_weight)));

    /// <summary>Draws as many as are asked for.</summary>
    public PromptSet Draw(ParseResult call, PromptSet prompts) => call.GetValue(_maxSamples) is not { } most ? prompts
        : most > 0 ? prompts.Draw(most, Seed(call)) : throw new UsageException($"--max-samples must be at least 1; {most} was given.");

    /// <summary>Encodes prompts; says how many were cut.</summary>
    public Data Encode(Terminal terminal, ParseResult call, Model model, string name, PromptSet prompts)
    {
        var maxTokens = call.GetValue(_maxTokens);
        var range = call.GetValue(_tokens) is { } text ? TokenRange.Parse(text) : null;
        var tokens = TokenizedPrompts.Of(prompts, () => TokenizedPrompts.TokenizerOf(model), maxTokens, range, call.GetValue(_skipFirst), _chat.Read(call, model));
        if (tokens.Truncated > 0)
            terminal.Warn($"{name}: {tokens.Truncated} of {prompts.Count} prompts were cut behind {maxTokens} tokens (--max-tokens).");
        return new Data(name, prompts, tokens);
    }
}
