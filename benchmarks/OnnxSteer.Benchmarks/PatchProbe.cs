using System.Diagnostics;
using System.Globalization;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Benchmarks;

/// <summary>One whole patch in a process of its own: what each step took, and the most anonymous memory it ever held.</summary>
internal static class PatchProbe
{
    public static void Run(string model, string mapFile, string target, bool link)
    {
        var peak = 0L;
        using var stop = new CancellationTokenSource();
        var watch = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                peak = Math.Max(peak, AnonymousKilobytes());
                Thread.Sleep(2);
            }
        });
        watch.Start();
        var start = Stopwatch.GetTimestamp();
        var opened = Step("open", () => ModelFile.Open(model));
        Step("sites", () => SiteTable.Of(opened));
        var map = SteeringMap.Load(mapFile);
        var patch = Step("patch", () => Steering.Patch(opened, map, new SteeringOptions { Mode = Mode.Baked }));
        var patched = Step("apply", () => opened.Apply(patch));
        Step("save", () =>
        {
            patched.SaveTo(target, new SaveOptions { Link = link, Force = true });
            return target;
        });
        stop.Cancel();
        watch.Join();
        Console.WriteLine($"total {Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms, peak {peak / 1024} MB");

        T Step<T>(string name, Func<T> work)
        {
            var (begin, cpu) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            var result = work();
            Console.WriteLine($"{name} {Stopwatch.GetElapsedTime(begin).TotalMilliseconds:0} ms ({(Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds:0} of processor), {peak / 1024} MB so far, allocated {GC.GetTotalAllocatedBytes() >> 20} MB");
            return result;
        }
    }

    private static long AnonymousKilobytes() =>
        long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith("RssAnon:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
}
