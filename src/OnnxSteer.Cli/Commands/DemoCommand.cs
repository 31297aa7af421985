using System.CommandLine;
using System.Globalization;
using System.Text;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Testing;
using Spectre.Console;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>demo</c>: the whole way on the model that comes with the program.</summary>
internal static class DemoCommand
{
    public static Command Create(Terminal terminal)
    {
        var output = new Option<string>("--out") { Description = "The folder to write to.", DefaultValueFactory = _ => "onnxsteer-demo" };
        var json = Options.Json();
        var command = new Command("demo", "Fits, patches, generates, measures and proves on the small story model that comes with the program. Takes no arguments and no network.") { output, json };
        command.SetAction((call, cancel) =>
        {
            var folder = call.GetRequiredValue(output);
            var result = Demonstrator.Run(Path.Combine(AppContext.BaseDirectory, "models"), folder, step => terminal.Note($"{step} ..."), cancel);
            var report = Path.Combine(folder, "report.html");
            AtomicFile.Write(report, stream => stream.Write(Encoding.UTF8.GetBytes(DemonstrationReport.Html(result))));
            if (call.GetValue(json))
                terminal.Json(Document(result, report));
            else
                Show(terminal, result, report);
            return Task.FromResult(result.Holds ? ExitCodes.Done : ExitCodes.CheckFailed);
        });
        return command;
    }

    private static object Document(DemonstrationResult result, string report) => new
    {
        Trait = result.Trait.Name,
        Sites = result.Fit.Sites,
        result.Strengths,
        result.Texts,
        Measurements = result.Measurements.Select(row => new
        {
            row.Label, row.Trait.Value, row.Trait.Low, row.Trait.High, N = row.Trait.Trials, Greedy = row.Greedy.Value, row.Perplexity, Repeating = row.Repeating.Value,
        }),
        result.Proof,
        Map = result.MapFile,
        Folders = result.SteeredFolders,
        Report = report,
    };

    private static void Show(Terminal terminal, DemonstrationResult result, string report)
    {
        var console = terminal.Console();
        void Title(string text) => console.Write(new Rule(Markup.Escape(text)).LeftJustified());

        Title($"Sites: {result.Model.Table.Sites.Length} found ({result.Model.Table.Dialect}), {result.Fit.Sites.Length} steered ({result.Trait.Sites})");
        Title($"Fit: {result.Trait.Source.Count} + {result.Trait.Target.Count} sentences, {result.Fit.Map.Provenance.Method}, towards {result.Trait.Name}");
        var fit = new Table().Border(TableBorder.Simple).AddColumns("site", "samples", "channels", "left alone", "distance before", "after");
        foreach (var site in result.Fit.Sites)
            fit.AddRow(Markup.Escape(site.Site), $"{site.Samples.Source} + {site.Samples.Target}", $"{site.Channels}", $"{site.Dead}", Number(site.DistanceBefore, "0.000"), Number(site.DistanceAfter, "0.000"));
        console.Write(fit);

        Title("What it writes");
        var texts = new Table().Border(TableBorder.Simple).AddColumns([.. result.Strengths.Select(strength => new TableColumn($"strength {strength}"))]);
        foreach (var row in result.Texts)
            texts.AddRow([.. row.Continuations.Select(text => $"[bold]{Markup.Escape(row.Opening)}[/]{Marked(result.Trait, text)}\n")]);
        console.Write(texts);

        console.WriteLine($"The likeliest token each time; openings that show the change. Of all {result.Trait.Openings.Count}, {string.Join(", ", result.Measurements.Take(result.Strengths.Length).Select(row => $"{row.Greedy.Hits} at {row.Label}"))} come out with the trait.");
        Title($"How often, and what it costs ({result.Measurements[0].Trait.Trials} drawn texts each; intervals of 95 %)");
        var measured = new Table().Border(TableBorder.Simple).AddColumns("", "texts with the trait", "", "perplexity of neutral text", "repeating texts");
        foreach (var row in result.Measurements)
            measured.AddRow(Markup.Escape(row.Label), $"{Number(row.Trait.Value, "P0")} ({Number(row.Trait.Low * 100, "0")}-{Number(row.Trait.High * 100, "0")})",
                new string('█', (int)Math.Round(row.Trait.Value * 30)), row.Perplexity is { } perplexity ? Number(perplexity, "0.00") : "", Number(row.Repeating.Value, "P0"));
        console.Write(measured);
        console.MarkupLineInterpolated($"\"asking for it\": the unsteered model with \"{result.Trait.Asking}\" before each opening");

        Title("Proof");
        var proof = new Table().Border(TableBorder.None).HideHeaders().AddColumns("", "", "");
        foreach (var verdict in result.Proof)
            proof.AddRow(verdict.Holds ? "[green]holds[/]" : "[red]FAILS[/]", Markup.Escape(verdict.Check), Markup.Escape(verdict.Detail));
        console.Write(proof);

        Title("Written");
        foreach (var path in result.SteeredFolders.Append(result.MapFile).Append(report))
            terminal.Out.WriteLine(path);
        terminal.Out.WriteLine();
        terminal.Out.WriteLine(DemonstrationReport.Usage(result));
    }

    private static string Marked(Trait trait, string text) =>
        string.Concat(text.Split(' ').Select((word, i) => $"{(i > 0 ? " " : "")}{(trait.IsIn(word) ? $"[black on yellow]{Markup.Escape(word)}[/]" : Markup.Escape(word))}"));

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
