using System.CommandLine;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>patch</c>: a map into a graph.</summary>
internal static class PatchCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.Model(), Options.Out("The folder to write: the model, its data, and every non-model file of its folder up to 50 MB."), Options.Json());
        var map = new Option<string>("--map") { Description = "The map file.", Required = true };
        var strength = Options.Number("--strength", "How far activations are moved: 0 not at all, 1 as fitted; any finite number. In live mode the default of the dial (default 1).");
        var mode = Options.Choice("--mode", "baked: constant nodes of that strength; live: the strength is an optional input, onnxsteer.strength, one value or one per batch row.", "baked", "baked", "live");
        var positions = Options.Choice("--positions", "Which tokens: all; prompt (calls of several tokens); generated (calls of one); last (the last real token of each row in each call).", "all", "all", "prompt", "generated", "last");
        var label = new Option<string?>("--label") { Description = "The dial's name behind onnxsteer.strength., where a graph has several (default: the map's own label)." };
        var gate = new GateOptions();
        var link = Options.Link();
        var identity = new Option<bool>("--allow-identity") { Description = "Write a patch that changes nothing." };
        var force = Options.Force("Replace an existing output folder, and take a map that was fitted on another model.");
        var command = new Command("patch", "Writes a map into a model's graph. The result is an ordinary model folder; the source is not touched.")
            { model, map, strength, mode, positions, label, output, link, force, identity, json };
        gate.AddTo(command);
        command.SetAction((call, cancel) =>
        {
            var opened = call.OpenModel(model);
            var loaded = SteeringMap.Load(call.GetRequiredValue(map));
            if (loaded.Provenance.Fingerprint is null)
                terminal.Warn($"{call.GetRequiredValue(map)}: the map says nothing of the model it was fitted on, so it is not checked whether it is this one.");
            var patch = Steering.Patch(opened, loaded, new SteeringOptions
            {
                Mode = call.Parse<Mode>(mode),
                Strength = call.GetValue(strength) ?? 1,
                Positions = call.Parse<Positions>(positions),
                Gate = gate.Of(call),
                Label = call.GetValue(label),
                Force = call.GetValue(force),
                AllowIdentity = call.GetValue(identity),
            });
            Work.WarnOfLinks(terminal, call.GetValue(link));
            var folder = call.GetRequiredValue(output);
            SteeredFolder.Write(opened, patch, folder, new SaveOptions { Force = call.GetValue(force), Link = call.GetValue(link) }, cancel);
            var nodes = patch.Edits.OfType<AddNode>().Count();
            var properties = patch.Title!.Properties;
            if (call.GetValue(json))
                terminal.Json(new { Out = folder, patch.Title.Label, Properties = properties, Sites = loaded.Sites.Length, Nodes = nodes });
            else
                terminal.Note($"{loaded.Sites.Length} sites steered by {nodes} nodes, {properties["mode"]} at strength {properties["strength"]}{(properties.TryGetValue("input", out var dial) ? $" (input {dial})" : "")}: {folder}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
