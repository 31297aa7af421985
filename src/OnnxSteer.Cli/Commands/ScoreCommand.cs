using System.CommandLine;
using System.Globalization;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>score</c>: how likely a model finds texts.</summary>
internal static class ScoreCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, column, batch, threads, provider, json) = (Options.Model(), Options.Column(), Options.Batch(16), Options.Threads(), Options.Provider(), Options.Json());
        var file = new Option<string>("--file") { Description = "A .txt (one text a line), .csv or .jsonl file (\"text\" or \"ids\"; the tokens of \"prompt\", text or ids, are read but not scored).", Required = true };
        var window = new Option<int?>("--window") { Description = "Tokens that are read at once: longer texts are scored in windows (default: the model's context)." };
        var stride = new Option<int?>("--stride") { Description = "Tokens from one window to the next (default: half a window); what a window shares with the one before is read again, not scored." };
        var first = new Option<bool>("--first") { Description = "Score the first window of each text only." };
        var strength = new Option<string[]>("--strength") { Description = "The dial of a live patch: a number, or LABEL=number for the dial of that label; may be given several times." };
        var command = new Command("score", "Scores texts: the sum of the negative log-likelihoods of their tokens, in nats; the first token of all has nothing before it and is not scored.")
            { model, file, window, stride, first, strength, column, batch, threads, provider, json };
        command.SetAction((call, cancel) =>
        {
            if (call.GetValue(window) is < 2 || call.GetValue(stride) is < 1 || call.GetValue(stride) > call.GetValue(window))
                throw new UsageException("--window takes a number from 2 on, and --stride one from 1 to the window.");
            if (call.GetValue(first) && (call.GetValue(window) is null || call.GetValue(stride) is not null))
                throw new UsageException("--first scores the first --window N tokens of each text; it takes no --stride.");
            var dials = (call.GetValue(strength) ?? []).Select(text => Options.ParseDial("--strength", text, Steering.DialOf)).ToDictionary(dial => dial.Key, dial => dial.Value);
            var opened = call.OpenModel(model);
            var texts = ScoredTexts.Of(PromptFile.Read(call.GetRequiredValue(file), call.GetValue(column)), () => TokenizedPrompts.TokenizerOf(opened));
            using var scorer = Scorer.Open(opened, call.Session(threads, provider));
            if (scorer.IsOneByOne)
                terminal.Note("The model quantizes activations by a scale that a call shares, so texts are scored one by one.");
            var length = call.GetValue(window) ?? DecoderConfig.Of(opened).ContextLength ?? int.MaxValue;
            var parts = texts.Select(text => call.GetValue(first) ? [text.First(length)] : text.Windows(length, call.GetValue(stride) ?? Math.Max(1, length / 2)).ToList()).ToList();
            var scores = new Queue<Score>(scorer.Score([.. parts.SelectMany(part => part)], dials, call.GetValue(batch), terminal.Progress("scored", parts.Sum(part => part.Count)), cancel));
            var rows = parts.Select(part => part.Select(_ => scores.Dequeue()).Aggregate(new Score(0, 0), (sum, score) => new Score(sum.Nll + score.Nll, sum.Tokens + score.Tokens))).ToList();
            if (call.GetValue(json))
                terminal.Json(rows);
            else
                foreach (var (i, row) in rows.Index())
                    terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"[{i + 1}] nll {row.Nll:0.0000} over {row.Tokens} tokens, perplexity {Scoring.Perplexity([row]):0.00}"));
            terminal.Note(string.Create(CultureInfo.InvariantCulture, $"{rows.Count} texts, {rows.Sum(row => row.Tokens)} tokens, perplexity {Scoring.Perplexity(rows):0.0000}"));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
