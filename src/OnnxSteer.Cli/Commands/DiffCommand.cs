using System.CommandLine;
using OnnxSteer.Onnx.Diffing;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>diff</c>: what differs between two models.</summary>
internal static class DiffCommand
{
    private const int MaxText = 160;

    public static Command Create(Terminal terminal)
    {
        var first = new Argument<string>("A") { Description = "A .onnx file, or a folder that holds one." };
        var second = new Argument<string>("B") { Description = "Another." };
        var json = Options.Json();
        var command = new Command("diff", "Lists what differs between two models: nodes, weights, attributes, metadata, opsets, inputs and outputs, external data. Ends with 0 when nothing differs, with 1 otherwise.") { first, second, json };
        command.SetAction((call, cancel) =>
        {
            var (before, after) = (ModelFile.Open(call.GetRequiredValue(first)), ModelFile.Open(call.GetRequiredValue(second)));
            var diff = ModelDiff.Of(before, after, cancel);
            if (call.GetValue(json))
                terminal.Json(new
                {
                    A = before.Source.Name,
                    B = after.Source.Name,
                    Equal = diff.IsEmpty,
                    Differences = diff.Differences.Select(difference => new { difference.Graph, difference.Kind, Change = difference.Change.ToString().ToLowerInvariant(), difference.Name, difference.Before, difference.After }),
                });
            else
                Show(terminal, diff);
            return Task.FromResult(diff.IsEmpty ? ExitCodes.Done : ExitCodes.CheckFailed);
        });
        return command;
    }

    private static void Show(Terminal terminal, ModelDiff diff)
    {
        foreach (var graph in diff.Differences.GroupBy(difference => difference.Graph ?? "model"))
        {
            terminal.Out.WriteLine(graph.Key);
            foreach (var difference in graph)
                terminal.Out.WriteLine(difference.Change switch
                {
                    Change.Added => $"  + {difference.Kind} {difference.Name}: {Short(difference.After)}",
                    Change.Removed => $"  - {difference.Kind} {difference.Name}: {Short(difference.Before)}",
                    _ => $"  ~ {difference.Kind} {difference.Name}: {Short(difference.Before)} -> {Short(difference.After)}",
                });
        }
        var counts = diff.Differences.GroupBy(difference => (difference.Kind, difference.Change)).Select(group => $"{group.Count()} {group.Key.Kind} {group.Key.Change.ToString().ToLowerInvariant()}");
        terminal.Out.WriteLine(diff.IsEmpty ? "nothing differs" : $"{diff.Differences.Length} differences: {string.Join(", ", counts)}");
    }

    private static string Short(string? text) => text is null ? "nothing" : text.Length <= MaxText ? text : $"{text[..MaxText]}...";
}
