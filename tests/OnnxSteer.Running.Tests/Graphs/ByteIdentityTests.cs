using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Generate;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;

namespace OnnxSteer.Running.Tests.Graphs;

/// <summary>Load and save, three patches and their removal, give back the file, of whatever writer.</summary>
public sealed class ByteIdentityTests
{
    // Beyond it a file is written to disk in the exhaustive run only.
    private const long MaxSaved = 20_000_000;

    public static TheoryData<string> Fixtures()
    {
        var roots = new[] { Folders.Models, Folders.InShared("models") }.Where(Directory.Exists);
        return [.. roots.SelectMany(root => Directory.GetFiles(root, "*.onnx", SearchOption.AllDirectories)).Order(StringComparer.Ordinal).Select(path => Path.GetRelativePath(Folders.Root, path))];
    }

    [Theory, MemberData(nameof(Fixtures))]
    public void Fixtures_come_back(string path) => Check(Path.Combine(Folders.Root, path));

    [TestDataFact]
    public void Models_of_ONNX_s_own_tests_come_back()
    {
        foreach (var path in TestData.Models())
            Check(path, isAlone: true);
    }

    [Fact]
    public void Odd_encodings_come_back()
    {
        using var folder = new TemporaryFolder();
        RandomModel.Write(folder.Path, 5000, Exhaustive.IsAsked ? 1000 : 100);
        foreach (var path in Directory.GetFiles(folder.Path, "*.onnx", SearchOption.AllDirectories))
            Check(path);
    }

    private static void Check(string path, bool isAlone = false)
    {
        var model = Model.Open(path);
        var original = model.Source.Sha256();
        var stages = new List<Model> { model };
        foreach (var (i, patch) in Patches(model).Index())
            stages.Add(stages[^1].Apply(patch(stages[^1], i)));
        var digests = stages.ConvertAll(stage => stage.Source.Sha256());
        Assert.Equal(stages.Count, digests.Distinct().Count());
        var top = stages[^1];
        for (var i = stages.Count - 1; i > 0; i--)
        {
            top = PatchRecord.Undo(top);
            Assert.Equal(digests[i - 1], top.Source.Sha256());
        }
        Assert.Equal(original, top.Source.Sha256());
        if (isAlone || (!Exhaustive.IsAsked && model.Source.Length > MaxSaved))
            return;
        using var folder = new TemporaryFolder();
        model.SaveTo(folder["same"]);
        Assert.Equal(original, ModelFile.Open(Path.Combine(folder["same"], Path.GetFileName(path))).Source.Sha256());
        stages[^1].SaveTo(folder["patched"]);
        var removed = SteeredFolder.Undo(Model.Open(Path.Combine(folder["patched"], Path.GetFileName(path))), all: true, folder["back"]);
        Assert.Equal(3, removed.Count);
        Assert.Equal(Digests(folder["same"]), Digests(folder["back"]));
    }

    // Real steering where a site or a value is known well enough, else any node put in.
    private static IEnumerable<Func<Model, int, GraphPatch>> Patches(Model model) => Enumerable.Repeat<Func<Model, int, GraphPatch>>((stage, i) =>
    {
        var table = SiteTable.Of(model);
        foreach (var name in table.Sites.Skip(i).Select(site => site.Name).Concat(model.Graph.Outputs.Select(output => $"value:{output.Name}")).Take(5))
            try
            {
                var site = table.Find(name);
                var map = new SteeringMap([new SiteTransport(name, Transport.Of(name, [.. Enumerable.Repeat(1.25f, site.Channels)], [.. Enumerable.Repeat(0.5f, site.Channels)]))]);
                return Steering.Patch(stage, map, new SteeringOptions { Mode = i == 1 ? Mode.Live : Mode.Baked, Label = $"p{i}", Force = true });
            }
            catch (OnnxException)
            {
                // The next name.
            }
        var title = new PatchTitle($"p{i}", ImmutableSortedDictionary<string, string>.Empty);
        var value = stage.Graph.Nodes.SelectMany(node => node.Outputs).FirstOrDefault(output => output.Length > 0);
        return value is null ? GraphPatch.Empty with { Title = title }
            : (GraphPatch.Empty with { Title = title }).Intercept(stage, new ValuePlace(Graph.MainPath, value), "any", (from, to) => [new NodeProto { OpType = "Identity", Input = { from }, Output = { to } }]);
    }, 3);

    private static List<string> Digests(string folder) =>
        [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(file => $"{Path.GetRelativePath(folder, file)} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))}")];
}
