using System.CommandLine;
using OnnxSteer.Cli.Commands;
using OnnxSteer.Onnx;
using OnnxSteer.Ort;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Cli;

/// <summary>The command line: what there is to call, and how calls end.</summary>
internal static class CommandLine
{
    /// <summary>Runs one call.</summary>
    /// <returns>One of <see cref="ExitCodes"/>.</returns>
    public static async Task<int> RunAsync(string[] args, Terminal terminal, CancellationToken cancel)
    {
        var root = new RootCommand("Steers generative models that were exported to ONNX: fits small per-channel maps from prompts and writes them into the graph.")
        {
            DemoCommand.Create(terminal),
            InspectCommand.Create(terminal),
            CaptureCommand.Create(terminal),
            ScoreCommand.Create(terminal),
            MergeCommand.Create(terminal),
            FitCommand.Create(terminal),
            PatchCommand.Create(terminal),
            PackCommand.Create(terminal),
            MonitorCommand.Create(terminal),
            UnpatchCommand.Create(terminal),
            DiffCommand.Create(terminal),
            ImportCommand.Create(terminal),
            ExportCommand.Create(terminal),
            TokenizeCommand.Create(terminal),
            GenerateCommand.Create(terminal),
            RunCommand.Create(terminal),
        };
        // A prompt may begin with '@'.
        var call = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (call.Errors.Count > 0)
        {
            foreach (var error in call.Errors.Select(error => error.Message).Distinct())
                terminal.Error.WriteLine($"error: {error}");
            terminal.Error.WriteLine($"Call 'onnxsteer {(call.CommandResult.Command == root ? "" : $"{call.CommandResult.Command.Name} ")}--help' to see what it takes.");
            return ExitCodes.Usage;
        }
        try
        {
            // Signals are the program's own business: it must have time to take back what is half written.
            var configuration = new InvocationConfiguration { Output = terminal.Out, Error = terminal.Error, EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
            return await call.InvokeAsync(configuration, cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            terminal.Error.WriteLine("cancelled; nothing was left half written.");
            return ExitCodes.Cancelled;
        }
        catch (UsageException e)
        {
            terminal.Error.WriteLine($"error: {e.Message}");
            return ExitCodes.Usage;
        }
        catch (Exception e) when (e is OnnxException or TokenizerException or OrtException or OrtLibraryException or IOException or UnauthorizedAccessException)
        {
            terminal.Error.WriteLine($"error: {e.Message}");
            return ExitCodes.Failure;
        }
    }
}

/// <summary>Options that do not go together.</summary>
internal sealed class UsageException(string message) : Exception(message);
