using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Cli.Tests;

/// <summary>Debian's Slurm on this machine as one node, with a key, a configuration and ports of its own; gone with the test.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class SlurmNode : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SlurmNode()
    {
        var (host, user, munge) = (Output("hostname", "-s").Trim(), Environment.UserName, _folder["munge"]);
        Directory.CreateDirectory(munge);
        foreach (var name in new[] { "state", "spool" })
            Directory.CreateDirectory(_folder[name]);
        var key = new byte[1024];
        Random.Shared.NextBytes(key);
        File.WriteAllBytes(_folder["key"], key);
        File.SetUnixFileMode(_folder["key"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        // Others must be able to reach the socket.
        foreach (var path in new[] { _folder.Path, munge })
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        File.WriteAllText(_folder["slurm.conf"], $"""
            ClusterName=onnxsteer
            SlurmctldHost={host}(127.0.0.1)
            SlurmUser={user}
            SlurmdUser={user}
            AuthType=auth/munge
            CryptoType=crypto/munge
            AuthInfo=socket={munge}/socket
            SlurmctldPort={FreePort()}
            SlurmdPort={FreePort()}
            StateSaveLocation={_folder["state"]}
            SlurmdSpoolDir={_folder["spool"]}
            SlurmctldPidFile={_folder["slurmctld.pid"]}
            SlurmdPidFile={_folder["slurmd.pid"]}
            SlurmctldLogFile={_folder["slurmctld.log"]}
            SlurmdLogFile={_folder["slurmd.log"]}
            ProctrackType=proctrack/pgid
            TaskPlugin=task/none
            SelectType=select/cons_tres
            SelectTypeParameters=CR_Core
            ReturnToService=2
            MpiDefault=none
            JobAcctGatherType=jobacct_gather/none
            SchedulerParameters=sched_interval=1,sched_min_interval=0
            NodeName={host} NodeAddr=127.0.0.1 CPUs={Environment.ProcessorCount} State=UNKNOWN
            PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP

            """);
        try
        {
            Output("munged", "--force", $"--key-file={_folder["key"]}", $"--socket={munge}/socket", $"--pid-file={_folder["munged.pid"]}", $"--log-file={munge}/log", $"--seed-file={munge}/seed");
            Output("slurmctld", "-c");
            Output("slurmd", "-c");
            var watch = Stopwatch.StartNew();
            while (!Output("sinfo", "--noheader", "--format=%t").Contains("idle", StringComparison.Ordinal))
            {
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), $"the node does not come up: {Logs()}");
                Thread.Sleep(200);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public static bool IsInstalled => new[] { "sbatch", "slurmctld", "slurmd", "munged" }.All(program => new[] { "/usr/bin", "/usr/sbin" }.Any(folder => File.Exists(Path.Combine(folder, program))));

    /// <summary>Submits an array and waits for its end.</summary>
    public void Submit(IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        var (code, output) = Run("sbatch", environment, ["--wait", $"--output={_folder["task"]}-%a.txt", .. arguments]);
        Assert.True(code == 0, $"sbatch ended with {code}: {output}\n{string.Join('\n', Directory.GetFiles(_folder.Path, "task-*.txt").Select(File.ReadAllText))}\n{Logs()}");
    }

    public void Dispose()
    {
        foreach (var name in new[] { "slurmd", "slurmctld", "munged" })
            if (File.Exists(_folder[$"{name}.pid"]) && int.TryParse(File.ReadAllText(_folder[$"{name}.pid"]), out var id))
                try
                {
                    using var process = Process.GetProcessById(id);
                    Run("kill", null, [$"{id}"]);
                    process.WaitForExit(5000);
                }
                catch (ArgumentException)
                {
                    // It has ended by itself.
                }
        _folder.Dispose();
    }

    private string Logs() => string.Join('\n', Directory.GetFiles(_folder.Path, "slurm*.log").Select(File.ReadAllText));

    private string Output(string program, params string[] arguments)
    {
        var (code, output) = Run(program, null, arguments);
        Assert.True(code == 0, $"{program} ended with {code}: {output}");
        return output;
    }

    // Daemons leave their streams open, so output goes to a file.
    private (int Code, string Output) Run(string program, IReadOnlyDictionary<string, string>? environment, string[] arguments)
    {
        var log = _folder[$"out-{Guid.NewGuid():N}"];
        var info = new ProcessStartInfo("sh", ["-c", "exec \"$@\" > \"$0\" 2>&1 < /dev/null", log, program, .. arguments]) { Environment = { ["SLURM_CONF"] = _folder["slurm.conf"] } };
        info.Environment["PATH"] += ":/usr/sbin";
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            info.Environment[name] = value;
        using var process = Process.Start(info)!;
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(5)), $"{program} does not end");
        return (process.ExitCode, File.ReadAllText(log));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

/// <summary>A test that needs Slurm: skipped, with the reason, where that is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SlurmFactAttribute : FactAttribute
{
    public SlurmFactAttribute() => Skip = !OperatingSystem.IsWindows() && SlurmNode.IsInstalled ? null : "needs Debian's packages slurm-wlm and munge";
}
