using System.CommandLine;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>pack</c>: another map as an adapter file.</summary>
internal static class PackCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.Model(), Options.Out($"The adapter file to write ({AdapterFile.Extension})."), Options.Json());
        var map = new Option<string>("--map") { Description = "The map file, of sites that the model was packed for; sites that it leaves out stay as they are.", Required = true };
        var strength = Options.Number("--strength", "How far activations are moved: 0 not at all, 1 as fitted; any finite number (default 1).");
        var label = new Option<string?>("--label") { Description = "Which patch of mode pack, where the model has several." };
        var force = Options.Force("Take a map that was fitted on another model.");
        var command = new Command("pack", "Writes a map as an adapter file for a model that was patched with --mode pack. ONNX Runtime and onnxruntime-genai load and switch adapters at run time.")
            { model, map, strength, label, output, force, json };
        command.SetAction((call, _) =>
        {
            var opened = call.OpenModel(model);
            var path = call.GetRequiredValue(output);
            OutputFile.Check(path, opened, call.GetRequiredValue(map));
            var parameters = SteeringAdapter.Of(opened, PatchCommand.Load(terminal, call.GetRequiredValue(map)), call.GetValue(strength) ?? 1, call.GetValue(label), call.GetValue(force));
            AdapterFile.Write(path, parameters);
            if (call.GetValue(json))
                terminal.Json(new { Out = path, Parameters = parameters.Select(parameter => new { parameter.Name, parameter.Dims }) });
            else
                terminal.Note($"{parameters.Count} parameters: {path}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
