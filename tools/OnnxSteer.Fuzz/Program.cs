using System.CommandLine;
using System.Diagnostics;
using OnnxSteer.Fuzz;

var count = new Option<int>("--count") { Description = "How many files to try.", DefaultValueFactory = _ => 100_000 };
var seed = new Option<int>("--seed") { Description = "The first seed.", DefaultValueFactory = _ => 1 };
var command = new RootCommand("Puts damaged and hostile files through everything that reads files.") { count, seed };
command.SetAction(call =>
{
    using var fuzzer = new Fuzzer();
    var start = Stopwatch.GetTimestamp();
    var result = fuzzer.Run(call.GetValue(seed), call.GetValue(count), new Progress<int>(done =>
    {
        if (done % 10_000 == 0)
            Console.WriteLine($"{done} ({done / Stopwatch.GetElapsedTime(start).TotalSeconds:0} a second)");
    }));
    Console.WriteLine($"{result.Cases} files from seed {call.GetValue(seed)}: {result.Refused} refused, {result.Patched} patched, saved and restored; slowest {result.Slowest.TotalMilliseconds:0} ms.");
});
return command.Parse(args).Invoke();
