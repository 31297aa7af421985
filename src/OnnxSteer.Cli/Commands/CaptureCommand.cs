using System.CommandLine;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>capture</c>: pooled activations of prompts.</summary>
internal static class CaptureCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, sites, pooling, output, json) =
            (Options.Model(), Options.Sites(), Options.Pooling(), Options.Out("The safetensors file to write: a tensor SITE [samples, channels] for each site."), Options.Json());
        var prompts = new Option<string>("--prompts") { Description = "A .txt (one a line), .jsonl (\"text\" or \"ids\") or .csv file.", Required = true };
        var (column, maxTokens, batch, threads, provider) = (Options.Column(), Options.MaxTokens(), Options.Batch(32), Options.Threads(), Options.Provider());
        var command = new Command("capture", "Runs prompts through a model and writes the pooled activations of its sites.")
            { model, prompts, sites, pooling, output, column, maxTokens, batch, threads, provider, json };
        command.SetAction((call, cancel) =>
        {
            var opened = call.OpenModel(model);
            var chosen = SiteTable.Of(opened).Matching(call.GetRequiredValue(sites));
            OutputFile.Check(call.GetRequiredValue(output), opened, call.GetRequiredValue(prompts));
            var (set, tokens) = Work.Read(terminal, opened, call.GetRequiredValue(prompts), call.GetValue(column), call.GetValue(maxTokens));
            var options = new CaptureOptions { Pooling = call.Parse<Pooling>(pooling), BatchSize = call.GetValue(batch), Session = call.Session(threads, provider) };
            var activations = Capture.Run(opened, chosen, set, tokens, options, terminal.Progress("captured", set.Count), cancel);
            activations.Save(call.GetRequiredValue(output));
            if (call.GetValue(json))
                terminal.Json(new { Out = call.GetRequiredValue(output), Sites = chosen.Select(site => new { Site = site.Name, site.Channels }), Samples = set.Count, tokens.Truncated });
            else
                terminal.Note($"{chosen.Length} sites, {set.Count} samples: {call.GetRequiredValue(output)}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
