using System.CommandLine;
using System.Globalization;
using System.Text;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Running;
using OnnxSteer.Testing;
using Spectre.Console;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>fit</c>: a steering map from two sets of prompts.</summary>
internal static class FitCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, sites, output, json) = (Options.Model(), Options.Sites(), Options.Out("The map file (.safetensors) to write."), Options.Json());
        var source = new Option<string>("--source") { Description = "Prompts that activations come from (.txt, .jsonl or .csv).", Required = true };
        var target = new Option<string>("--target") { Description = "Prompts whose distribution they are moved to.", Required = true };
        var method = new MethodOptions();
        var pooling = new Option<string?>("--pooling") { Description = "How the tokens of a prompt become one sample: mean, min, max or last (default: max for aura; last for caa, actadd, itim and itic; else mean)." };
        pooling.AcceptOnlyFromAmong([.. Enum.GetValues<Pooling>().Select(Poolings.Name)]);
        var report = new Option<string?>("--report") { Description = "An HTML page to write: how the fit of each site went, and which sites to steer." };
        var band = new Option<string?>("--band") { Description = "The quantiles of the source that bound the map's support, as q_0_100 or q_1_99; q_all for none (default: q_0_100 for linear, q_all for the others)." };
        var label = new Option<string?>("--label") { Description = "A name for the map; a live patch calls its dial onnxsteer.strength.LABEL." };
        var (column, maxTokens, batch, threads, provider) = (Options.Column(), Options.MaxTokens(), Options.Batch(32), Options.Threads(), Options.Provider());
        var command = new Command("fit", "Fits a steering map: captures both sets of prompts and moves the activations of one to those of the other.")
            { model, source, target, sites, band, pooling, label, output, report, column, maxTokens, batch, threads, provider, json };
        foreach (var option in method.All)
            command.Add(option);
        command.SetAction((call, cancel) =>
        {
            var fitted = method.Read(call);
            var opened = call.OpenModel(model);
            var chosen = SiteTable.Of(opened).Matching(call.GetRequiredValue(sites));
            OutputFile.Check(call.GetRequiredValue(output), opened, call.GetRequiredValue(source), call.GetRequiredValue(target));
            var page = call.GetValue(report);
            if (page is not null)
                OutputFile.Check(page, opened, call.GetRequiredValue(source), call.GetRequiredValue(target), call.GetRequiredValue(output));
            var limits = call.GetValue(band) is { } text ? Band.Parse(text) : null;
            var options = new CaptureOptions { Pooling = call.GetValue(pooling) is { } pooled ? Poolings.Parse(pooled) : fitted.DefaultPooling, BatchSize = call.GetValue(batch), Session = call.Session(threads, provider) };
            ActivationSet Side(Option<string> option)
            {
                var (set, tokens) = Work.Read(terminal, opened, call.GetRequiredValue(option), call.GetValue(column), call.GetValue(maxTokens));
                return Capture.Run(opened, chosen, set, tokens, options, terminal.Progress($"{option.Name[2..]} captured", set.Count), cancel);
            }
            var (from, to) = (Side(source), Side(target));
            var fit = Fit.Of(fitted, from, to, limits);
            fit.Map.With(fit.Map.Provenance with { Label = call.GetValue(label) }).Save(call.GetRequiredValue(output));
            if (page is not null)
                AtomicFile.Write(page, stream => stream.Write(Encoding.UTF8.GetBytes(FitReport.Html(fit))));
            if (call.GetValue(json))
                terminal.Json(new { Out = call.GetRequiredValue(output), Report = page, fit.Map.Provenance, fit.Sites, fit.Advice });
            else
                Show(terminal, fit, call.GetRequiredValue(output));
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Show(Terminal terminal, FitResult fit, string path)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("site", "left alone", "distance", "held out", "spread", "linear wins", "effect", "AUROC", "outside");
        foreach (var (site, advice) in fit.Advice.Select(advice => (fit.Sites.First(site => site.Site == advice.Site), advice)))
            table.AddRow(
                $"{(advice.Suggested ? "* " : "  ")}{Markup.Escape(site.Site)}{(site.InMap ? "" : " (not in the map)")}", $"{site.Channels - site.Changed} of {site.Channels}",
                $"{Number(site.DistanceBefore)} > {Number(site.DistanceAfter)}", site.HeldOut is { } check ? $"{Number(check.DistanceBefore)} > {Number(check.DistanceAfter)}" : "",
                Number(site.SpreadRatio, "+0.00;-0.00;0.00"), Number(site.HeldOut?.LinearBeatsMean, "P0"), Number(site.EffectSize), Number(site.Separability?.Auroc), Number(site.Outside, "P1"));
        terminal.Console().Write(table);
        foreach (var line in FitReport.Legend(fit))
            terminal.Out.WriteLine(line);
        terminal.Note($"{string.Join(' ', new[] { fit.Map.Provenance.Method, fit.Map.Provenance.Settings }.OfType<string>())}, {fit.Sites[0].Samples.Source} + {fit.Sites[0].Samples.Target} samples: {path}");
    }

    private static string Number(double? value, string format = "0.00") => value?.ToString(format, CultureInfo.InvariantCulture) ?? "";
}
