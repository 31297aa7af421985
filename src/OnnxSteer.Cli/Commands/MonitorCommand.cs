using System.CommandLine;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Cli.Commands;

/// <summary><c>monitor</c>: an extra output that shows how far a site projects on a direction.</summary>
internal static class MonitorCommand
{
    public static Command Create(Terminal terminal)
    {
        var (model, output, json) = (Options.Model(), Options.Out("The folder to write."), Options.Json());
        var direction = new Option<string>("--direction") { Description = "A safetensors file with SITE/direction, float32 [channels]; or a map, whose SITE/b is the direction.", Required = true };
        var site = new Option<string?>("--site") { Description = "The site, where the file has several." };
        var name = new Option<string>("--name") { Description = "The output is called onnxsteer.monitor.NAME, float32.", Required = true };
        var pooling = Options.TokenPooling("--pooling", "token: one number a token, [batch, tokens]; else pooled over the real tokens of each call, [batch].");
        var link = Options.Link();
        var force = Options.Force("Replace an existing output folder, and take a direction that was fitted on another model.");
        var command = new Command("monitor", "Adds an output with the projection of a site's activations on a direction, so that a trait is seen before it is said.")
            { model, direction, site, name, pooling, output, link, force, json };
        command.SetAction((call, cancel) =>
        {
            var opened = call.OpenModel(model);
            var monitor = new Monitor(call.GetRequiredValue(name), Direction.Load(call.GetRequiredValue(direction), call.GetValue(site)),
                call.TokenPooling(pooling));
            var folder = call.GetRequiredValue(output);
            SteeredFolder.Write(opened, monitor.Patch(opened, call.GetValue(force)), folder, new SaveOptions { Force = call.GetValue(force), Link = call.GetValue(link) }, cancel);
            if (call.GetValue(json))
                terminal.Json(new { Out = folder, monitor.Output, Site = monitor.Direction.Site, Pooling = call.GetRequiredValue(pooling) });
            else
                terminal.Note($"{folder}: output {monitor.Output} shows '{monitor.Direction.Site}', {(monitor.Pooling is null ? "token by token" : $"{call.GetRequiredValue(pooling)} of each call's tokens")}.");
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }
}
