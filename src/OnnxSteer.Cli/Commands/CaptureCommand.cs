using System.CommandLine;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>capture</c>: pooled activations of prompts.</summary>
internal static class CaptureCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, sites, pooling, output, json) =
            (Options.Model(), Options.Sites(), Options.Pooling(), Options.Out("The safetensors file to write: a tensor SITE [samples, channels] for each site. With --shards a folder."), Options.Json());
        var prompts = new Option<string>("--prompts") { Description = "A .txt (one a line), .jsonl (\"text\" or \"ids\"; \"prompt\" with \"completion\"; \"messages\") or .csv file.", Required = true };
        var shards = new Option<int?>("--shards")
        {
            Description = "Write so many files into a folder, each complete or absent. The plan of all batches is stored there first: called again after a kill, whatever is complete is kept; 'merge' joins the shards, and 'fit' reads the folder.",
        };
        var part = new Option<string?>("--part") { Description = "I/N, from 1/N to N/N: this process computes the I-th of N parts of the shards; all N are called alike." };
        var (data, batch, threads, provider) = (new DataOptions(), Options.Batch(32), Options.Threads(), Options.Provider());
        var command = new Command("capture", "Runs prompts through a model and writes the pooled activations of its sites.")
            { model, prompts, sites, pooling, output, shards, part, batch, threads, provider, json };
        data.AddTo(command);
        command.SetAction((call, cancel) =>
        {
            var opened = call.OpenModel(model);
            var chosen = SiteTable.Of(opened).Matching(call.GetRequiredValue(sites));
            var (path, file) = (call.GetRequiredValue(output), call.GetRequiredValue(prompts));
            OutputFile.Check(path, opened, file);
            var (index, parts) = ParsePart(call.GetValue(part), call.GetValue(shards));
            var population = data.Encode(terminal, call, opened, file, data.Draw(call, data.Read(call, file)));
            var options = new CaptureOptions { Pooling = call.Parse<Pooling>(pooling), BatchSize = call.GetValue(batch), Session = call.Session(threads, provider) };
            var massive = parts == 1 ? population.Look(terminal, opened, chosen, options.Session, cancel) : null;
            ShardProgress? shard = null;
            var progress = terminal.Progress("captured", population.Prompts.Count);
            if (call.GetValue(shards) is { } count)
            {
                var plan = CapturePlan.Of(opened, chosen, population.Prompts, population.Tokens, options, count, data.Seed(call));
                if (plan.Shards < count)
                    terminal.Warn($"{plan.Batches.Length} batches make {plan.Shards} shards at most; {count} were asked for.");
                shard = ShardedCapture.Run(path, plan, opened, chosen, population.Tokens, options, index, parts, progress, cancel);
                foreach (var problem in shard.Damaged)
                    terminal.Warn($"{problem} It was computed anew.");
            }
            else
                Capture.Run(opened, chosen, population.Prompts, population.Tokens, options, progress, cancel).Save(path);
            if (call.GetValue(json))
                terminal.Json(new { Out = path, Sites = chosen.Select(site => new { Site = site.Name, site.Channels }), population.Prompts.Samples, population.Tokens.Truncated, Data = population.Json, Shards = shard, Massive = massive });
            else
                terminal.Note(shard is null ? $"{chosen.Length} sites, {population.Prompts.Samples} samples: {path}" : $"{chosen.Length} sites, {shard.Done} shards computed, {shard.Kept} kept: {path}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static (int Part, int Parts) ParsePart(string? text, int? shards)
    {
        if (shards is < 1)
            throw new UsageException($"--shards must be at least 1; {shards} was given.");
        if (text is null)
            return (0, 1);
        if (shards is null)
            throw new UsageException("--part belongs to --shards.");
        return text.Split('/') is [var i, var n] && int.TryParse(i, out var part) && int.TryParse(n, out var parts) && part >= 1 && part <= parts ? (part - 1, parts)
            : throw new UsageException($"--part {text}: I/N with I from 1 to N was expected, as in 2/8.");
    }
}

/// <summary><c>merge</c>: the shards of a capture as one file.</summary>
internal static class MergeCommand
{
    public static Command Create(Terminal terminal)
    {
        var folder = new Argument<string>("FOLDER") { Description = "The folder that 'capture --shards' wrote." };
        var (output, json) = (Options.Out("The safetensors file to write, as 'capture' without shards would."), Options.Json());
        var command = new Command("merge", "Joins the shards of a capture to one file, in the order of the prompts. Missing and damaged shards are named.") { folder, output, json };
        command.SetAction((call, _) =>
        {
            var path = call.GetRequiredValue(folder);
            if (!ShardedCapture.IsAt(path))
                throw new OnnxException($"'{path}' is no folder with a {CapturePlan.FileName}; what 'capture --shards' wrote was expected.");
            if (Path.GetDirectoryName(Path.GetFullPath(call.GetRequiredValue(output))) == Path.GetFullPath(path).TrimEnd(Path.DirectorySeparatorChar))
                throw new OnnxException($"{call.GetRequiredValue(output)}: this lies among the shards. Name a file elsewhere.");
            var merged = ShardedCapture.Load(path);
            merged.Save(call.GetRequiredValue(output));
            if (call.GetValue(json))
                terminal.Json(new { Out = call.GetRequiredValue(output), Sites = merged.Sites.Select(site => new { site.Site, Channels = site.Values.Columns }), merged.Samples });
            else
                terminal.Note($"{merged.Sites.Length} sites, {merged.Samples} samples: {call.GetRequiredValue(output)}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
