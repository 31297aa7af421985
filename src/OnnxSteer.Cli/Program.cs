using System.Runtime.InteropServices;
using System.Text;
using OnnxSteer.Cli;

Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
using var cancellation = new CancellationTokenSource();
var signalled = 0;
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Cancel(context, ExitCodes.Cancelled));
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Cancel(context, ExitCodes.Terminated));
var code = await CommandLine.RunAsync(args, Terminal.Of(Console.Out, Console.Error), cancellation.Token).ConfigureAwait(false);
return code == ExitCodes.Cancelled && signalled != 0 ? signalled : code;

// The first signal asks for an orderly end; a second one ends the process as usual.
void Cancel(PosixSignalContext context, int exitCode)
{
    context.Cancel = Interlocked.Exchange(ref signalled, exitCode) == 0;
    cancellation.Cancel();
}
