using System.CommandLine;
using System.Globalization;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;
using Spectre.Console;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>fit</c>: a steering map from two sets of prompts.</summary>
internal static class FitCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, sites, pooling, output, json) = (Options.Model(), Options.Sites(), Options.Pooling(), Options.Out("The map file (.safetensors) to write."), Options.Json());
        var method = Options.Choice("--method", "linear: w*z+b by optimal transport (Linear-AcT); mean: a shift (Mean-AcT).", "linear", "linear", "mean");
        var band = new Option<string?>("--band") { Description = "The quantiles of the source that bound the map's support, as q_0_100 or q_1_99; q_all for none (default: q_0_100 for linear, q_all for mean)." };
        var label = new Option<string?>("--label") { Description = "A name for the map; a live patch calls its dial onnxsteer.strength.LABEL." };
        var (data, batch, threads, provider) = (new FitData(), Options.Batch(32), Options.Threads(), Options.Provider());
        var command = new Command("fit", "Fits a steering map: captures both sets of prompts and moves the activations of one to those of the other.")
            { model, sites, method, band, pooling, label, output, batch, threads, provider, json };
        data.AddTo(command);
        command.SetAction((call, cancel) =>
        {
            var opened = call.OpenModel(model);
            var chosen = SiteTable.Of(opened).Matching(call.GetRequiredValue(sites));
            OutputFile.Check(call.GetRequiredValue(output), opened, data.Files(call));
            var limits = call.GetValue(band) is { } text ? Band.Parse(text) : null;
            var options = new CaptureOptions { Pooling = call.Parse<Pooling>(pooling), BatchSize = call.GetValue(batch), Session = call.Session(threads, provider) };
            ActivationSet Side(Population side) => side.Data is { } prompts
                ? Capture.Run(opened, chosen, prompts.Prompts, prompts.Tokens, options, terminal.Progress($"{side.Name} captured", prompts.Prompts.Count), cancel)
                : FitData.At(side.Captured!, chosen);
            var (source, target) = data.Read(terminal, call, opened);
            // The sides of one model differ little in this.
            var massive = (source.Data ?? target.Data)?.Look(terminal, opened, chosen, options.Session, cancel);
            var (from, to) = (Side(source), Side(target));
            var fit = call.GetRequiredValue(method) == "mean" ? Fit.Mean(from, to, limits) : Fit.Linear(from, to, limits);
            fit.Map.With(fit.Map.Provenance with { Label = call.GetValue(label) }).Save(call.GetRequiredValue(output));
            if (call.GetValue(json))
                terminal.Json(new { Out = call.GetRequiredValue(output), fit.Map.Provenance, Source = source.Json, Target = target.Json, Massive = massive, fit.Sites });
            else
                Show(terminal, fit, call.GetRequiredValue(output));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Show(Terminal terminal, FitResult fit, string path)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("site", "channels", "left alone", "distance before", "after", "outside support");
        foreach (var site in fit.Sites)
            table.AddRow(Markup.Escape(site.Site), $"{site.Channels}", $"{site.Channels - site.Changed}", Number(site.DistanceBefore), Number(site.DistanceAfter), site.Outside.ToString("P1", CultureInfo.InvariantCulture));
        terminal.Console().Write(table);
        terminal.Note($"{fit.Map.Provenance.Method}, {fit.Sites[0].Samples.Source} + {fit.Sites[0].Samples.Target} samples: {path}");
    }

    private static string Number(double value) => value.ToString("0.000", CultureInfo.InvariantCulture);
}
