using System.Collections.Immutable;
using System.CommandLine;
using OnnxSteer.Onnx;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary>One side of a fit: prompts to run, or what was captured from them.</summary>
internal sealed record Population(string Name, Data? Data, ActivationSet? Captured)
{
    /// <summary>What results say of it.</summary>
    public object Json => Data?.Json ?? new { Captured!.Samples };
}

/// <summary>The options that say what a map is fitted on.</summary>
internal sealed class FitData
{
    private readonly Option<string?> _source = new("--source") { Description = "Prompts that activations come from (.txt, .jsonl or .csv); or what 'capture' made of them: a file, or a folder of shards." };
    private readonly Option<string?> _target = new("--target") { Description = "Prompts whose distribution they are moved to, likewise." };
    private readonly Option<string?> _data = new("--data") { Description = "Instead of two files, one (.jsonl or .csv) whose rows bear labels." };
    private readonly Option<string?> _labelColumn = new("--label-column") { Description = "The column, or key of a row, that holds the label (default: label)." };
    private readonly Option<string?> _sourceLabel = new("--source-label") { Description = "The label of the rows that activations come from." };
    private readonly Option<string?> _targetLabel = new("--target-label") { Description = "The label of the rows that they are moved to." };
    private readonly Option<bool> _balance = new("--balance") { Description = "As many prompts of either: the larger side is drawn from, by --seed." };
    private readonly DataOptions _prompts = new();

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _source, _target, _data, _labelColumn, _sourceLabel, _targetLabel, _balance })
            command.Options.Add(option);
        _prompts.AddTo(command);
    }

    /// <summary>The files that are read.</summary>
    public IEnumerable<string> Files(ParseResult call) => new[] { call.GetValue(_source), call.GetValue(_target), call.GetValue(_data) }.OfType<string>();

    /// <summary>Whether the first token of each prompt is left out.</summary>
    public bool SkipsFirst(ParseResult call) => _prompts.SkipsFirst(call);

    /// <summary>Both sides.</summary>
    /// <exception cref="UsageException">The options do not go together.</exception>
    public (Population Source, Population Target) Read(Terminal terminal, ParseResult call, Model model)
    {
        var (source, target) = Prompts(call);
        if (call.GetValue(_balance))
        {
            if (source.Prompts is null || target.Prompts is null)
                throw new UsageException("--balance draws prompts; it does not go together with what was captured already.");
            var least = Math.Min(source.Prompts.Count, target.Prompts.Count);
            (source.Prompts, target.Prompts) = (source.Prompts.Draw(least, _prompts.Seed(call)), target.Prompts.Draw(least, _prompts.Seed(call)));
        }
        return (Side(source), Side(target));

        Population Side((string Name, PromptSet? Prompts, string? Path) side) => side.Prompts is { } prompts
            ? new Population(side.Name, _prompts.Encode(terminal, call, model, side.Name, prompts), null)
            : new Population(side.Name, null, Captured(model, side.Path!));
    }

    /// <summary>What was captured at some sites.</summary>
    /// <exception cref="OnnxException">A site was not captured.</exception>
    public static ActivationSet At(ActivationSet captured, ImmutableArray<Site> sites) =>
        new(sites.Select(site => new SiteActivations(site.Name, captured[site.Name])), captured.Origin);

    private ((string Name, PromptSet? Prompts, string? Path) Source, (string Name, PromptSet? Prompts, string? Path) Target) Prompts(ParseResult call)
    {
        var (source, target, sourceLabel, targetLabel) = (call.GetValue(_source), call.GetValue(_target), call.GetValue(_sourceLabel), call.GetValue(_targetLabel));
        if (call.GetValue(_data) is not { } data)
            return source is not null && target is not null && sourceLabel is null && targetLabel is null && call.GetValue(_labelColumn) is null ? (OfFile(call, source), OfFile(call, target))
                : throw new UsageException("Give --source FILE and --target FILE; or --data FILE with --source-label and --target-label.");
        if (source is not null || target is not null || sourceLabel is null || targetLabel is null || sourceLabel == targetLabel)
            throw new UsageException("--data FILE holds both sides: give two different labels with --source-label and --target-label, and neither --source nor --target.");
        var all = _prompts.Read(call, data, call.GetValue(_labelColumn) ?? "label");
        return (($"{data} ({sourceLabel})", _prompts.Draw(call, all.Labelled(sourceLabel)), null), ($"{data} ({targetLabel})", _prompts.Draw(call, all.Labelled(targetLabel)), null));
    }

    private (string Name, PromptSet? Prompts, string? Path) OfFile(ParseResult call, string path) =>
        Directory.Exists(path) || path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) ? (path, null, path) : (path, _prompts.Draw(call, _prompts.Read(call, path)), null);

    private static ActivationSet Captured(Model model, string path)
    {
        if (Directory.Exists(path) && !ShardedCapture.IsAt(path))
            throw new OnnxException($"'{path}' is a folder without {CapturePlan.FileName}; a file of prompts, or what 'capture' made, was expected.");
        var captured = ShardedCapture.IsAt(path) ? ShardedCapture.Load(path) : ActivationSet.Load(path);
        return captured.Origin.Fingerprint is not { } there || there == Fingerprints.Of(model, SiteTable.Of(model)) ? captured
            : throw new OnnxException($"'{path}' was captured from another model than {model.Source.Name}. Capture from this one.");
    }
}
