using System.Collections.Immutable;
using System.CommandLine;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>patch</c>: a map into a graph.</summary>
internal static class PatchCommand
{
    private const string Modes =
        "baked: constant nodes of that strength. folded: no nodes, the strength goes into the weights that make each value, which are rounded once more; refused where it would not be exact. "
        + "live: the strength is an optional input, onnxsteer.strength, one value or one per batch row. "
        + "pack: the parameters are optional inputs that do nothing, until an .onnx_adapter file gives them; one for this map is written too, and 'onnxsteer pack' makes more.";

    private static readonly string[] InputKeys = ["input", "choice"];

    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.Model(), Options.Out("The folder to write: the model, its data, and every non-model file of its folder up to 50 MB."), Options.Json());
        var map = new Option<string[]>("--map") { Description = "The map file; with --bank several.", Required = true };
        var bank = new Option<bool>("--bank")
        {
            Description = "Put all maps into one graph, in live mode: the optional input onnxsteer.map (int64, one or one per batch row) chooses one by its number, in the order given from 0 on; -1 chooses none.",
        };
        var strength = Options.Number("--strength", "How far activations are moved: 0 not at all, 1 as fitted; any finite number. In live mode the default of the dial, in pack mode that of the adapter (default 1).");
        var mode = Options.Choice("--mode", Modes, "baked", "baked", "folded", "live", "pack");
        var positions = Options.Choice("--positions", "Which tokens: all; prompt (calls of several tokens); generated (calls of one); last (the last real token of each row in each call).", "all", "all", "prompt", "generated", "last");
        var skipFirst = new Option<bool>("--skip-first") { Description = "Leave the first real token of each sequence alone, whatever --positions says: where a model knows no token for the beginning, it holds massive activations." };
        var label = new Option<string?>("--label") { Description = "The name behind onnxsteer.strength. and the other inputs, where a graph has several (default: the map's own label)." };
        var gate = new GateOptions();
        var link = Options.Link();
        var identity = new Option<bool>("--allow-identity") { Description = "Write a patch that changes nothing." };
        var force = Options.Force("Replace an existing output folder, and take a map that was fitted on another model.");
        var command = new Command("patch", "Writes a map into a model's graph; on a patched model it acts on what the earlier maps made. The result is an ordinary model folder; the source is not touched.")
            { model, map, bank, strength, mode, positions, skipFirst, label, output, link, force, identity, json };
        gate.AddTo(command);
        command.SetAction((call, cancel) =>
        {
            var paths = call.GetRequiredValue(map);
            if (paths.Length > 1 && !call.GetValue(bank))
                throw new UsageException($"{paths.Length} maps were given; --bank puts several into one graph, else patch once for each.");
            if (call.GetValue(bank) && call.Parse<Mode>(mode) != Mode.Live)
                throw new UsageException("--bank needs --mode live: an input chooses the map.");
            var opened = call.OpenModel(model);
            var maps = paths.Select(path => Load(terminal, path)).ToList();
            var options = new SteeringOptions
            {
                Mode = call.Parse<Mode>(mode),
                Strength = call.GetValue(strength) ?? 1,
                Positions = call.Parse<Positions>(positions),
                SkipFirst = call.GetValue(skipFirst),
                Gate = gate.Of(call),
                Label = call.GetValue(label),
                Force = call.GetValue(force),
                AllowIdentity = call.GetValue(identity),
            };
            Work.WarnOfLinks(terminal, call.GetValue(link));
            var folder = call.GetRequiredValue(output);
            var save = new SaveOptions { Force = call.GetValue(force), Link = call.GetValue(link) };
            var (patch, adapter) = options.Mode == Mode.Pack
                ? SteeredFolder.WritePack(opened, maps[0], options, folder, save, cancel)
                : (Write(opened, call.GetValue(bank) ? Steering.Bank(opened, maps, options) : Steering.Patch(opened, maps[0], options), folder, save, cancel), null);
            var nodes = patch.Edits.OfType<AddNode>().Count();
            var sites = maps.SelectMany(map => map.Sites).Select(site => site.Site).Distinct().Count();
            var properties = patch.Title!.Properties;
            if (call.GetValue(json))
                terminal.Json(new { Out = folder, patch.Title.Label, Properties = properties, Sites = sites, Nodes = nodes, Adapter = adapter });
            else
                terminal.Note($"{sites} sites steered by {nodes} nodes, {properties["mode"]} at strength {properties["strength"]}{Inputs(properties, adapter)}: {folder}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    /// <summary>Reads a map; says where it cannot be held against a model.</summary>
    public static SteeringMap Load(Terminal terminal, string path)
    {
        var map = SteeringMap.Load(path);
        if (map.Provenance.Fingerprint is null)
            terminal.Warn($"{path}: the map says nothing of the model it was fitted on, so it is not checked whether it is this one.");
        return map;
    }

    private static GraphPatch Write(Model model, GraphPatch patch, string folder, SaveOptions save, CancellationToken cancel)
    {
        SteeredFolder.Write(model, patch, folder, save, cancel);
        return patch;
    }

    private static string Inputs(ImmutableSortedDictionary<string, string> properties, string? adapter)
    {
        var inputs = InputKeys.Where(properties.ContainsKey).Select(key => properties[key]).ToList();
        return inputs.Count > 0 ? $" (input {string.Join(", ", inputs)})" : adapter is not null ? $" (adapter {adapter})" : "";
    }
}
