using System.CommandLine;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>import</c>: a map from a file of another program.</summary>
internal static class ImportCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.ModelOption(), Options.Out("The map file (.safetensors) to write."), Options.Json());
        var file = Options.Argument("FILE", "A control vector of llama.cpp or repeng (.gguf), steering vectors (.safetensors), or ml-act's state, converted by tools/mlact_to_safetensors.py.");
        var format = ExchangeOptions.Format("Recognised where it is left out.", ExchangeFormat.Gguf, ExchangeFormat.SteeringVectors, ExchangeFormat.MlAct);
        var coefficient = Options.Number("--coefficient", "What vectors are multiplied by (default 1).");
        var layers = ExchangeOptions.Layers("The blocks whose vectors are taken");
        var site = new Option<string?>("--site") { Description = "The sites that numbered vectors are for, {0} being the number, as 'model.layers.{0}.mlp' (default: the blocks' outputs)." };
        var method = new Option<string?>("--method") { Description = "Of an ml-act state: linear_ot, mean_ot, gaussian_ot or aura, where the file does not say it." };
        var band = new Option<string?>("--band") { Description = "Of an ml-act state: whose bounds the map takes, as q_0_100, or q_all for none." };
        var label = new Option<string?>("--label") { Description = "A name for the map; a live patch calls its dial onnxsteer.strength.LABEL." };
        var command = new Command("import", "Makes a steering map from a file of another program. direction.N of a control vector is added to the output of block N, counted from 0, as in llama.cpp.")
            { file, model, format, coefficient, layers, site, method, band, label, output, json };
        command.SetAction((call, _) =>
        {
            var opened = ModelFile.Open(call.GetRequiredValue(model));
            var (source, path) = (call.GetRequiredValue(file), call.GetRequiredValue(output));
            OutputFile.Check(path, opened, source);
            var map = MapExchange.Import(source, opened, new ImportOptions
            {
                Format = ExchangeOptions.Parse(call.GetValue(format)),
                Coefficient = call.GetValue(coefficient) ?? 1,
                Layers = ExchangeOptions.Range(call.GetValue(layers)),
                Site = call.GetValue(site),
                Method = call.GetValue(method),
                Band = call.GetValue(band),
            });
            map = map.With(map.Provenance with { Label = call.GetValue(label) });
            map.Save(path);
            if (call.GetValue(json))
                terminal.Json(new { Out = path, map.Provenance, Sites = map.Sites.Select(entry => entry.Site) });
            else
                terminal.Note($"{map.Sites.Length} sites, '{map.Sites[0].Site}' to '{map.Sites[^1].Site}', from {map.Provenance.MadeFrom}: {path}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
