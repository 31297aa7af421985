using System.CommandLine;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>export</c>: a map as a file of another program.</summary>
internal static class ExportCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.ModelOption(), Options.Out("The file to write (.gguf or .safetensors)."), Options.Json());
        var map = Options.Argument("MAP", "A map of shifts, as of --method mean without bounds.");
        var format = ExchangeOptions.Format("Taken from the output's name where it is left out: gguf for .gguf, steering-vectors for .safetensors.", ExchangeFormat.Gguf, ExchangeFormat.SteeringVectors);
        var layers = ExchangeOptions.Layers("The blocks that are written");
        var force = Options.Force("Take a map that was fitted on another model.");
        var command = new Command("export", "Writes a map of shifts as a control vector of llama.cpp (GGUF, blocks' outputs from block 1 on) or as steering vectors (safetensors).")
            { map, model, format, layers, output, force, json };
        command.SetAction((call, _) =>
        {
            var opened = ModelFile.Open(call.GetRequiredValue(model));
            var (source, path) = (call.GetRequiredValue(map), call.GetRequiredValue(output));
            OutputFile.Check(path, opened, source);
            var chosen = ExchangeOptions.Parse(call.GetValue(format)) ?? Path.GetExtension(path).ToLowerInvariant() switch
            {
                ".gguf" => ExchangeFormat.Gguf,
                ".safetensors" => ExchangeFormat.SteeringVectors,
                var other => throw new UsageException($"The name '{path}' does not tell the format ('{other}'); give --format gguf or steering-vectors."),
            };
            var count = MapExchange.Export(path, PatchCommand.Load(terminal, source), opened, chosen, ExchangeOptions.Range(call.GetValue(layers)), call.GetValue(force));
            if (call.GetValue(json))
                terminal.Json(new { Out = path, Format = MapExchange.NameOf(chosen), Vectors = count });
            else
                terminal.Note($"{count} vectors, {MapExchange.NameOf(chosen)}: {path}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
