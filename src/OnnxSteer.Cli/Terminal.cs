using System.Text.Encodings.Web;
using System.Text.Json;
using Spectre.Console;

namespace OnnxSteer.Cli;

/// <summary>What the process ends with; scripts rely on these.</summary>
internal static class ExitCodes
{
    public const int Done = 0, CheckFailed = 1, Usage = 2, Failure = 3, Cancelled = 130, Terminated = 143;
}

/// <summary>Where results and messages go. Results alone go to <see cref="Out"/>.</summary>
internal sealed record Terminal(TextWriter Out, TextWriter Error, bool OutIsTerminal, bool ErrorIsTerminal)
{
    private const int WidthOfFiles = 140;

    private static readonly JsonSerializerOptions JsonOptions =
        new(JsonSerializerDefaults.Web) { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Terminal Of(TextWriter output, TextWriter error) => new(output, error, !System.Console.IsOutputRedirected, !System.Console.IsErrorRedirected);

    public void Json(object value) => Out.WriteLine(JsonSerializer.Serialize(value, JsonOptions));

    public void Warn(string message) => Error.WriteLine($"warning: {message}");

    public void Note(string message) => Error.WriteLine(message);

    /// <summary>A console for tables; in a file as wide as they need, without colours.</summary>
    public IAnsiConsole Console()
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Out), Ansi = OutIsTerminal ? AnsiSupport.Detect : AnsiSupport.No });
        if (!OutIsTerminal)
            console.Profile.Width = WidthOfFiles;
        return console;
    }

    /// <summary>A line that counts up while long work goes on; silent where nobody watches.</summary>
    public IProgress<int> Progress(string what, int total) => new Counter(this, what, total);

    private sealed class Counter(Terminal terminal, string what, int total) : IProgress<int>
    {
        public void Report(int value)
        {
            if (terminal.ErrorIsTerminal)
                terminal.Error.Write(value < total ? $"\r{what} {value}/{total}" : $"\r{new string(' ', what.Length + 24)}\r");
        }
    }
}
