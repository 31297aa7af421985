using System.CommandLine;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>run</c>: one bare run.</summary>
internal static class RunCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, threads, provider, json) = (Options.Model(), Options.Threads(), Options.Provider(), Options.Json());
        var inputs = new Option<string>("--inputs") { Description = "A safetensors file with a tensor for each input. Of a language model the token ids are enough: mask, positions and an empty cache are filled in.", Required = true };
        var outputs = new Option<string>("--outputs") { Description = "The safetensors file to write.", Required = true };
        var tap = new Option<string[]>("--tap") { Description = "Sites whose values are written besides, under the sites' names: regular expressions, or value:NAME.", AllowMultipleArgumentsPerToken = true };
        var command = new Command("run", "Runs a model once on tensors from a file.") { model, inputs, outputs, tap, threads, provider, json };
        command.SetAction((call, cancel) =>
        {
            var opened = call.OpenModel(model);
            OutputFile.Check(call.GetRequiredValue(outputs), opened, call.GetRequiredValue(inputs));
            var table = SiteTable.Of(opened);
            var sites = (call.GetValue(tap) ?? []).SelectMany(pattern => table.Matching(pattern)).DistinctBy(site => site.Name);
            var written = BareRun.Run(opened, call.GetRequiredValue(inputs), call.GetRequiredValue(outputs), [.. sites], call.Session(threads, provider), cancel);
            if (call.GetValue(json))
                terminal.Json(new { Out = call.GetRequiredValue(outputs), Tensors = written.Select(tensor => new { tensor.Name, tensor.Shape }) });
            else
                foreach (var (name, shape) in written)
                    terminal.Out.WriteLine($"{name} [{string.Join(", ", shape)}]");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
