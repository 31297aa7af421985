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
    private const string Execution = "execution";

    public static Command Create(Terminal terminal)
    {
        var (model, sites, output, json) = (Options.Model(), Options.Sites(), Options.Out("The map file (.safetensors) to write."), Options.Json());
        var method = new MethodOptions();
        var pooling = new Option<string?>("--pooling") { Description = "How the tokens of a prompt become one sample: mean, min, max or last (default: max for aura; last for caa, actadd, itim and itic; else mean)." };
        pooling.AcceptOnlyFromAmong([.. Enum.GetValues<Pooling>().Select(Poolings.Name)]);
        var report = new Option<string?>("--report") { Description = "An HTML page to write: how the fit of each site went, and which sites to steer." };
        var band = new Option<string?>("--band") { Description = "The quantiles of the source that bound the map's support, as q_0_100 or q_1_99; q_all for none (default: q_0_100 for linear, q_all for the others)." };
        var causal = new Option<bool>("--causal") { Description = "Fit each site under the maps of the sites before it. The model runs once, in segments between the sites." };
        var order = new Option<string>("--order") { Description = "With --causal, the order in which sites are fitted: execution, or a file that names them, one a line. A site named before one upstream of it is fitted without that one's map.", DefaultValueFactory = _ => Execution };
        var liveMegabytes = Options.Positive("--live-memory", "With --causal, MiB of values between two segments that may be held in memory; what is beyond goes to a temporary file.", 1024);
        var countTokens = new Option<bool>("--count-tokens") { Description = "Run the source's prompts once more and say which share of single tokens lies outside the map's support. A causal fit counts them anyhow." };
        var label = new Option<string?>("--label") { Description = "A name for the map; a live patch calls its dial onnxsteer.strength.LABEL." };
        var (data, batch, threads, provider) = (new FitData(), Options.Batch(32), Options.Threads(), Options.Provider());
        var command = new Command("fit", "Fits a steering map: captures both sets of prompts and moves the activations of one to those of the other.")
            { model, sites, causal, order, liveMegabytes, band, pooling, countTokens, label, output, report, batch, threads, provider, json };
        foreach (var option in method.All)
            command.Add(option);
        data.AddTo(command);
        command.SetAction((call, cancel) =>
        {
            var fitted = method.Read(call);
            if (!call.GetValue(causal) && (call.GetRequiredValue(order) != Execution || call.GetResult(liveMegabytes) is { Implicit: false }))
                throw new UsageException("--order and --live-memory need --causal: all at once, the order of the sites makes no difference.");
            var opened = call.OpenModel(model);
            var chosen = SiteTable.Of(opened).Matching(call.GetRequiredValue(sites));
            OutputFile.Check(call.GetRequiredValue(output), opened, data.Files(call));
            var page = call.GetValue(report);
            if (page is not null)
                OutputFile.Check(page, opened, [.. data.Files(call), call.GetRequiredValue(output)]);
            var limits = call.GetValue(band) is { } text ? Band.Parse(text) : null;
            var options = new CaptureOptions { Pooling = call.GetValue(pooling) is { } pooled ? Poolings.Parse(pooled) : fitted.DefaultPooling, BatchSize = call.GetValue(batch), Session = call.Session(threads, provider) };
            ActivationSet Side(Population side) => side.Data is { } prompts
                ? Capture.Run(opened, chosen, prompts.Prompts, prompts.Tokens, options, terminal.Progress($"{side.Name} captured", prompts.Prompts.Count), cancel)
                : FitData.At(side.Captured!, chosen);
            var (source, target) = data.Read(terminal, call, opened);
            FitResult Causal()
            {
                if (source.Data is not { } from || target.Data is not { } to)
                    throw new UsageException("--causal runs the prompts under the maps so far; it does not go together with what was captured already.");
                var named = call.GetRequiredValue(order);
                var result = CausalFit.Run(opened, named == Execution ? chosen : SiteOrder.Read(named, chosen), fitted, limits, from.Tokens, to.Tokens,
                    new CausalOptions { Capture = options, Order = named == Execution ? named : Path.GetFileName(named), SkipFirst = data.SkipsFirst(call), LiveBytes = (long)call.GetValue(liveMegabytes) << 20 },
                    terminal.Progress("percent fitted", 100), cancel);
                return result.With(result.Map.Provenance with { SourceDigest = from.Prompts.Digest, TargetDigest = to.Prompts.Digest });
            }
            // The sides of one model differ little in this.
            var massive = (source.Data ?? target.Data)?.Look(terminal, opened, chosen, options.Session, cancel);
            var fit = call.GetValue(causal) ? Causal() : Fit.Of(fitted, Side(source), Side(target), limits);
            if (call.GetValue(countTokens) && !call.GetValue(causal))
                fit = TokenSupport.Count(opened, fit, source.Data?.Tokens ?? throw new UsageException("--count-tokens runs the source's prompts once more; it does not go together with what was captured already."),
                    options, terminal.Progress("tokens counted", source.Data.Prompts.Count), cancel);
            fit.Map.With(fit.Map.Provenance with { Label = call.GetValue(label) }).Save(call.GetRequiredValue(output));
            if (page is not null)
                AtomicFile.Write(page, stream => stream.Write(Encoding.UTF8.GetBytes(FitReport.Html(fit))));
            if (call.GetValue(json))
                terminal.Json(new { Out = call.GetRequiredValue(output), Report = page, fit.Map.Provenance, Source = source.Json, Target = target.Json, Massive = massive, fit.Sites, fit.Advice });
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
                Number(site.SpreadRatio, "+0.00;-0.00;0.00"), Number(site.HeldOut?.LinearBeatsMean, "P0"), Number(site.EffectSize), Number(site.Separability?.Auroc), $"{Number(site.Outside, "P1")}{(site.TokensOutside is { } tokens ? $"; {Number(tokens, "P1")}" : "")}");
        terminal.Console().Write(table);
        foreach (var line in FitReport.Legend(fit))
            terminal.Out.WriteLine(line);
        terminal.Note($"{string.Join(' ', new[] { fit.Map.Provenance.Method, fit.Map.Provenance.Settings }.OfType<string>())}, {fit.Sites[0].Samples.Source} + {fit.Sites[0].Samples.Target} samples: {path}");
    }

    private static string Number(double? value, string format = "0.00") => value?.ToString(format, CultureInfo.InvariantCulture) ?? "";
}
