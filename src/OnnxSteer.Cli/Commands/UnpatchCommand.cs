using System.CommandLine;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>unpatch</c>: the original bytes again.</summary>
internal static class UnpatchCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.Model(), Options.Out("The folder to write."), Options.Json());
        var all = new Option<bool>("--all") { Description = "Remove every patch, not only the last." };
        var link = Options.Link();
        var force = Options.Force("Replace an existing output folder.");
        var command = new Command("unpatch", "Removes the last patch of a model, byte for byte; the digest of the original graph file is checked first. Data files that no patch touched are copied as they are.") { model, output, all, link, force, json };
        command.SetAction((call, cancel) =>
        {
            var folder = call.GetRequiredValue(output);
            Work.WarnOfLinks(terminal, call.GetValue(link));
            var removed = SteeredFolder.Undo(call.OpenModel(model), call.GetValue(all), folder, new SaveOptions { Force = call.GetValue(force), Link = call.GetValue(link) }, cancel);
            if (call.GetValue(json))
                terminal.Json(new { Out = folder, Removed = removed.Select(patch => new { patch.Label, patch.Properties }) });
            else
                terminal.Note($"removed {string.Join(", ", removed.Select(patch => $"'{patch.Label}'"))}: {folder}");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
