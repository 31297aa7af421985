using System.CommandLine;
using System.Globalization;
using OnnxSteer.Onnx;
using Spectre.Console;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>inspect</c>: what a model is and where it can be steered.</summary>
internal static class InspectCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, json) = (Options.Model(), Options.Json());
        var provider = new Option<string?>("--provider")
        {
            Description = "Also check, without the device, what runs there: cuda or dml. Lists the nodes that have no kernel and bounds inserted float16 arithmetic; ends with 1 where a node that a patch inserted has no kernel or no bound.",
        };
        provider.AcceptOnlyFromAmong("cuda", "dml");
        var command = new Command("inspect", "Shows what a model is and where it can be steered.") { model, provider, json };
        command.SetAction(call =>
        {
            var opened = call.OpenModel(model);
            var description = ModelDescription.Of(opened);
            var report = call.GetValue(provider) is { } name ? ProviderReport.Of(opened, Enum.Parse<Provider>(name, ignoreCase: true)) : null;
            if (call.GetValue(json))
                terminal.Json(Document(opened, description, report));
            else
            {
                Show(terminal, opened, description);
                if (report is not null)
                    ProviderView.Show(terminal, report);
            }
            return report is { InsertedAreClean: false } ? ExitCodes.CheckFailed : ExitCodes.Done;
        });
        return command;
    }

    private static object Document(Model model, ModelDescription description, ProviderReport? report) => new
    {
        description.Table.Dialect,
        Evidence = description.Table.Evidence,
        model.Producer,
        model.IrVersion,
        Opset = model.Opset(),
        Opsets = model.Opsets.ToDictionary(import => import.Domain.Length == 0 ? "ai.onnx" : import.Domain, import => import.Version),
        description.Precision,
        description.Parameters,
        Padding = description.Signature?.Padding.ToString().ToLowerInvariant(),
        Fingerprint = new { description.Fingerprint.Places, description.Fingerprint.Graph, description.Fingerprint.Weights },
        Sites = description.Table.Sites.Select(site => new
        {
            Site = site.Name,
            site.Aliases,
            Value = ValueOf(site.Places[0]),
            site.Places[0].Node,
            Dtype = site.DataType.Name(),
            site.Rank,
            site.ChannelAxis,
            site.Channels,
            site.Order,
            site.Evidence,
            Confidence = site.Confidence.ToString().ToLowerInvariant(),
            Places = site.Places.Select(place => new
            {
                place.At.Graph,
                Value = ValueOf(place),
                place.Node,
                Range = RangeOf(place.At.Range),
                ModuleRange = RangeOf(place.ModuleRange),
                Hook = HookOf(place),
                place.MissingBias,
            }),
        }),
        Provider = report is null ? null : ProviderView.Document(report),
        Kinds = description.Kinds.ToDictionary(kind => kind.Kind, kind => kind.Count),
        description.Notes,
        Maps = description.Patches.Select(patch => new { patch.Label, patch.Properties }),
    };

    // As in 'before_bias'.
    private static string HookOf(Place place) => place.Hook == Hook.BeforeBias ? "before_bias" : place.Hook.ToString().ToLowerInvariant();

    // A sum that the file leaves out has no value there yet.
    private static string? ValueOf(Place place) => place.Hook == Hook.Absent ? null : place.At.Value;

    private static int[]? RangeOf(AxisRange? range) => range is { } part ? [part.Start, part.End] : null;

    private static void Show(Terminal terminal, Model model, ModelDescription description)
    {
        var table = description.Table;
        var grid = new Grid().AddColumn().AddColumn();
        void Row(string name, string value) => grid.AddRow(Markup.Escape(name), Markup.Escape(value));
        Row("model", model.Source.Name);
        Row("dialect", $"{table.Dialect} ({table.Evidence})");
        Row("opset", string.Join(", ", model.Opsets.Select(import => $"{(import.Domain.Length == 0 ? "ai.onnx" : import.Domain)} {import.Version}")) + $"; IR {model.IrVersion}");
        Row("weights", $"{description.Parameters.ToString("N0", CultureInfo.InvariantCulture)} parameters, {description.Precision}");
        if (description.Signature is { } signature)
            Row("inputs", $"{signature.InputIds}{(signature.AttentionMask is null ? "" : ", mask")}{(signature.PositionIds is null ? "" : ", positions")}, {signature.Cache.Length} cache tensors; batches are padded on the {signature.Padding.ToString().ToLowerInvariant()}");
        Row("fingerprint", $"places {description.Fingerprint.Places[..12]}  graph {description.Fingerprint.Graph[..12]}  weights {description.Fingerprint.Weights[..12]}");
        foreach (var patch in description.Patches)
            Row("map", $"{patch.Label}: {string.Join(", ", patch.Properties.Where(property => property.Key is "mode" or "strength" or "positions" or "input").Select(property => $"{property.Key} {property.Value}"))}");
        Row("sites", table.Sites.IsEmpty ? "none known by name; any value can be named as value:NAME"
            : $"{table.Sites.Length}: {string.Join(", ", description.Kinds.Select(kind => $"{kind.Count} {kind.Kind}"))}");
        var console = terminal.Console();
        foreach (var note in description.Notes)
            Row("note", note);
        console.Write(grid);
        if (!table.Sites.IsEmpty)
            console.Write(SitesByLayer(table));
    }

    // Layers are alike, so a site that every layer has takes one row.
    private static Table SitesByLayer(SiteTable table)
    {
        var view = new Table().Border(TableBorder.Simple).AddColumns("site", "layers", "channels", "type", "hook", "also called");
        var rows = table.Sites.Select(site => (Site: site, Split: SplitLayer(site.Name)))
            .GroupBy(entry => (entry.Split.Pattern, entry.Site.Channels, entry.Site.DataType, Hook: HookOf(entry.Site.Places[0])));
        foreach (var row in rows)
        {
            var first = row.First();
            var aliases = first.Site.Aliases.Where(alias => alias.Count(c => c == '.') == first.Site.Name.Count(c => c == '.') - 1 && alias.StartsWith("model", StringComparison.Ordinal))
                .Select(alias => SplitLayer(alias).Pattern);
            view.AddRow(new[]
            {
                row.Key.Pattern, Layers([.. row.Select(entry => entry.Split.Layer).OfType<int>().Distinct()]), row.Key.Channels.ToString(CultureInfo.InvariantCulture),
                row.Key.DataType.Name(), row.Key.Hook, string.Join(", ", aliases),
            }.Select(Markup.Escape).ToArray());
        }
        return view;
    }

    private static (string Pattern, int? Layer) SplitLayer(string name)
    {
        var steps = name.Split('.');
        var at = Array.FindIndex(steps, step => step.Length > 0 && step.All(char.IsAsciiDigit));
        if (at < 0)
            return (name, null);
        var layer = int.Parse(steps[at], CultureInfo.InvariantCulture);
        steps[at] = "N";
        if (steps is [.., "heads", _])
            steps[^1] = "H";
        return (string.Join('.', steps), layer);
    }

    private static string Layers(List<int> layers)
    {
        var parts = new List<string>();
        for (var i = 0; i < layers.Count;)
        {
            var last = i;
            while (last + 1 < layers.Count && layers[last + 1] == layers[last] + 1)
                last++;
            parts.Add(last == i ? $"{layers[i]}" : $"{layers[i]}-{layers[last]}");
            i = last + 1;
        }
        return string.Join(", ", parts);
    }
}
