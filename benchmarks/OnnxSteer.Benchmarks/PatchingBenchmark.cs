using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Benchmarks;

internal static class PatchingBenchmark
{
    public static IEnumerable<Comparison> Run(int rounds)
    {
        foreach (var (name, folder) in Workbench.Models())
        {
            var place = Directory.CreateTempSubdirectory("onnxsteer-bench-").FullName;
            var (copy, steered) = (Path.Combine(place, "copy"), Path.Combine(place, "steered"));
            var map = Workbench.Map(Workbench.Open(folder));
            yield return SideBySide.Run(name, rounds,
                ("cp -r, sync", () =>
                {
                    Remove(copy);
                    Workbench.Shell("cp", "-r", folder, copy);
                    Workbench.Shell("chmod", "-R", "u+w", copy);
                    Workbench.Shell("sync", [.. Directory.GetFiles(copy)]);
                }),
                ("patch", () =>
                {
                    Remove(steered);
                    var model = Workbench.Open(folder);
                    SteeredFolder.Write(model, Steering.Patch(model, map, new SteeringOptions { Mode = Mode.Live }), steered, new SaveOptions());
                }));
            Directory.Delete(place, recursive: true);
        }
    }

    private static void Remove(string folder)
    {
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }
}
