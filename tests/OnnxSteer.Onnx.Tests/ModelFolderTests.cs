using Google.Protobuf;
using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Onnx.Tests.Generation;

namespace OnnxSteer.Onnx.Tests;

/// <summary>A folder is written completely or not at all, and its source is never touched.</summary>
public sealed class ModelFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly SortedDictionary<string, string> _before;

    public ModelFolderTests()
    {
        Write(["source", "model.onnx"], MakeModel("weights.bin", "deep/more.bin"));
        Write(["source", "weights.bin"], [1, 2, 3]);
        Write(["source", "deep", "more.bin"], [4, 5, 6]);
        Write(["source", "tokenizer.json"], "{}"u8.ToArray());
        Write(["source", "empty.txt"], []);
        Write(["source", "deep", "nested", "note.txt"], "note"u8.ToArray());
        Write(["source", ".hidden"], "hidden"u8.ToArray());
        Write(["source", ".cache", "download.txt"], "no"u8.ToArray());
        Write(["source", "other.onnx"], [1]);
        Write(["source", "other.onnx.data"], [1]);
        Write(["source", "other.onnx_data_1"], [1]);
        Write(["source", "other.ORT"], [1]);
        foreach (var file in Directory.GetFiles(_folder["source"], "*", SearchOption.AllDirectories))
            File.SetAttributes(file, File.GetAttributes(file) | FileAttributes.ReadOnly);
        _before = Snapshot.Of(_folder["source"]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_model_is_saved_with_its_data_and_companions()
    {
        var model = Open();
        var patched = model.Apply(PatchTests.Titled(GraphPatch.Empty, "p"));
        patched.SaveTo(_folder["new", "target"], new SaveOptions { Extra = new Dictionary<string, Func<byte[]>?> { ["onnxsteer.json"] = () => [7], ["tokenizer.json"] = () => [8] } });
        Assert.Equal([".hidden", "deep/more.bin", "deep/nested/note.txt", "empty.txt", "model.onnx", "onnxsteer.json", "tokenizer.json", "weights.bin"], FilesIn("new", "target"));
        Assert.Equal(patched.Source.ToArray(), File.ReadAllBytes(_folder["new", "target", "model.onnx"]));
        Assert.Equal([4, 5, 6], File.ReadAllBytes(_folder["new", "target", "deep", "more.bin"]));
        Assert.Equal([8], File.ReadAllBytes(_folder["new", "target", "tokenizer.json"]));
        foreach (var file in FilesIn("new", "target"))
            Assert.False(File.GetAttributes(_folder["new", "target", file]).HasFlag(FileAttributes.ReadOnly), file);
        Assert.Equal(["target"], Directory.GetFileSystemEntries(_folder["new"]).Select(Path.GetFileName));
        var saved = Model.Open(_folder["new", "target", "model.onnx"]);
        Assert.Equal(model.Tensors.Select(tensor => tensor.ToBytes()), saved.Tensors.Select(tensor => tensor.ToBytes()));
        Assert.Equal(model.Source.ToArray(), PatchRecord.Undo(saved).Source.ToArray());
        AssertSourceUntouched();
    }

    [Fact]
    public void Companions_have_at_most_50_megabytes()
    {
        foreach (var (name, length) in new[] { ("big.bin", (50 << 20) + 1), ("limit.bin", 50 << 20) })
            using (var file = File.Create(_folder["source", name]))
                file.SetLength(length);
        Open().SaveTo(_folder["target"]);
        Assert.False(File.Exists(_folder["target", "big.bin"]));
        Assert.Equal(50 << 20, new FileInfo(_folder["target", "limit.bin"]).Length);
    }

    [Theory]
    [InlineData("deep\\more.bin")]
    [InlineData("./deep/more.bin")]
    [InlineData("deep//more.bin")]
    public void One_file_may_be_named_in_several_ways(string location)
    {
        File.SetAttributes(_folder["source", "model.onnx"], FileAttributes.Normal);
        File.WriteAllBytes(_folder["source", "model.onnx"], MakeModel("deep/more.bin", location));
        Open().SaveTo(_folder["target"]);
        Assert.Equal([4, 5, 6, 4, 5, 6], Model.Open(_folder["target", "model.onnx"]).Tensors.SelectMany(tensor => tensor.ToBytes()));
    }

    [UnixFact]
    public void Data_are_linked_on_demand_only()
    {
        Open().SaveTo(_folder["copied"]);
        AssertSourceUntouched();
        Open().SaveTo(_folder["linked"], new SaveOptions { Link = true });
        Assert.Equal(("1", "2", "1"), (Snapshot.Links(_folder["copied", "weights.bin"]), Snapshot.Links(_folder["linked", "weights.bin"]), Snapshot.Links(_folder["linked", "tokenizer.json"])));
        Assert.Equal("2", Snapshot.Links(_folder["source", "weights.bin"]));
        Directory.Delete(_folder["linked"], recursive: true);
        AssertSourceUntouched();
        // What replaces a data file does not write through a link to it.
        Open().SaveTo(_folder["linked"], new SaveOptions { Link = true, Extra = new Dictionary<string, Func<byte[]>?> { ["weights.bin"] = () => [9, 9, 9] } });
        Assert.Equal([9, 9, 9], File.ReadAllBytes(_folder["linked", "weights.bin"]));
        Assert.Equal([1, 2, 3], File.ReadAllBytes(_folder["source", "weights.bin"]));
    }

    [UnixFact]
    public void Links_as_in_a_download_cache_become_real_files()
    {
        Directory.CreateDirectory(_folder["cache", "snapshots", "1"]);
        foreach (var (name, blob) in new[] { ("model.onnx", "source/model.onnx"), ("weights.bin", "source/weights.bin"), ("tokenizer.json", "source/tokenizer.json"), ("broken", "none") })
            File.CreateSymbolicLink(_folder["cache", "snapshots", "1", name], Path.Combine("..", "..", "..", blob));
        File.CreateSymbolicLink(_folder["cache", "snapshots", "1", "circle"], "circle");
        Directory.CreateSymbolicLink(_folder["cache", "snapshots", "1", "up"], "..");
        Directory.CreateSymbolicLink(_folder["cache", "snapshots", "1", "deep"], _folder["source", "deep"]);
        Directory.CreateSymbolicLink(_folder["latest"], _folder["cache", "snapshots", "1"]);
        ModelFile.Open(_folder["latest"]).SaveTo(_folder["target"]);
        Assert.Equal(["deep/more.bin", "model.onnx", "tokenizer.json", "weights.bin"], FilesIn("target"));
        Assert.All(FilesIn("target"), file => Assert.Null(new FileInfo(_folder["target", file]).LinkTarget));
        Assert.Equal(2, Model.Open(_folder["target", "model.onnx"]).Tensors.Count());
        Refused("own folder", _folder["cache", "snapshots", "1"], force: true, from: "latest");
        Refused("own folder", _folder["latest"], force: true, from: "cache/snapshots/1");
        Refused("lies inside it", _folder["cache"], force: true, from: "latest");
        Refused("lies inside the source", _folder["cache", "snapshots", "1", "new"], force: false, from: "latest");
        AssertSourceUntouched();
    }

    [UnixFact]
    public void Folders_linked_in_a_circle_are_refused() => Patience.WithinAMinute(() =>
    {
        Directory.CreateSymbolicLink(_folder["a"], Path.Combine(_folder["b"], "x"));
        Directory.CreateSymbolicLink(_folder["b"], _folder["a"]);
        Refused("cannot be written", _folder["a", "target"]);
        Refused("cannot be written", _folder["a"]);
    });

    [Fact]
    public void The_source_and_what_holds_or_lies_in_it_are_no_targets()
    {
        Refused("own folder", _folder["source"], force: true);
        Refused("own folder", _folder["source"] + Path.DirectorySeparatorChar, force: true);
        Refused("own folder", _folder["source", "deep", ".."], force: true);
        Refused("lies inside the source", _folder["source", "deep"], force: true);
        Refused("lies inside the source", _folder["source", "new", "target"]);
        Refused("lies inside it", _folder.Path, force: true);
        Refused("file system", Path.GetPathRoot(_folder.Path)!, force: true);
        Refused("no name", "");
        // A name that only begins alike is another folder.
        Open().SaveTo(_folder["source2"]);
    }

    [Fact]
    public void An_existing_folder_is_replaced_only_by_force()
    {
        Write(["target", "old", "file.txt"], [1]);
        Refused("--force", _folder["target"]);
        Assert.Equal(["old/file.txt"], FilesIn("target"));
        Refused("holds other things than a model", _folder["target"], force: true);
        Assert.Equal(["old/file.txt"], FilesIn("target"));
        Write(["target", "old.onnx"], [1]);
        Open().SaveTo(_folder["target"], new SaveOptions { Force = true });
        Assert.DoesNotContain("old/file.txt", FilesIn("target"));
        Directory.CreateDirectory(_folder["empty"]);
        Open().SaveTo(_folder["empty"], new SaveOptions { Force = true });
        Assert.Contains("model.onnx", FilesIn("target"));
        Write(["file"], [1]);
        Refused("is a file", _folder["file"], force: true);
        Refused("cannot be written", _folder["file", "target"]);
        Refused("cannot be written", _folder["file", "new", "target"]);
        Assert.Equal([1], File.ReadAllBytes(_folder["file"]));
    }

    [UnixFact]
    public void A_link_to_a_folder_gives_way_and_the_folder_stays()
    {
        Write(["precious", "file.txt"], [1]);
        Directory.CreateSymbolicLink(_folder["target"], _folder["precious"]);
        Refused("--force", _folder["target"]);
        Open().SaveTo(_folder["target"], new SaveOptions { Force = true });
        Assert.Equal(["file.txt"], FilesIn("precious"));
        Assert.Null(new DirectoryInfo(_folder["target"]).LinkTarget);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_failure_leaves_everything_as_it_was(bool isThere)
    {
        if (isThere)
            Write(["new", "target", "old.onnx"], [1]);
        var before = isThere ? Snapshot.Of(_folder["new"]) : null;
        var source = new CancellationTokenSource();
        var model = Open();
        var target = _folder["new", "target"];
        // While the extra files are written most of the folder is there already.
        Assert.Throws<OperationCanceledException>(() => model.SaveTo(target, new SaveOptions { Force = true, Extra = Interrupted(source.Cancel) }, source.Token));
        Assert.Throws<OperationCanceledException>(() => model.SaveTo(target, new SaveOptions { Force = true }, new CancellationToken(canceled: true)));
        var full = Assert.Throws<OnnxException>(() => model.SaveTo(target, new SaveOptions { Force = true, Extra = Interrupted(() => throw new IOException("No space left on device.")) }));
        Assert.Contains("No space left", full.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidOperationException>(() => model.SaveTo(target, new SaveOptions { Force = true, Extra = Interrupted(() => throw new InvalidOperationException()) }));
        Assert.Contains("cannot be written", Assert.Throws<OnnxException>(() => model.SaveTo(target, new SaveOptions { Force = true, Extra = new Dictionary<string, Func<byte[]>?> { ["model.onnx"] = () => [1] } })).Message, StringComparison.Ordinal);
        Assert.Contains("must lie in its folder", Assert.Throws<OnnxException>(() => model.SaveTo(target, new SaveOptions { Force = true, Extra = new Dictionary<string, Func<byte[]>?> { ["../up.json"] = () => [1] } })).Message, StringComparison.Ordinal);
        File.Delete(_folder["source", "weights.bin"]);
        Assert.Throws<OnnxException>(() => model.SaveTo(target, new SaveOptions { Force = true }));
        if (isThere)
            Assert.Equal(before, Snapshot.Of(_folder["new"]));
        else
            Assert.False(Directory.Exists(_folder["new"]));
        Assert.Equal(isThere ? ["new", "source"] : ["source"], Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_folder_of_everything_is_not_copied()
    {
        for (var i = 0; i < 2001; i++)
            Write(["many", $"{i}.txt"], []);
        Write(["many", "model.onnx"], new ModelProto { IrVersion = 9, Graph = new GraphProto() }.ToByteArray());
        Refused("more than 2000", _folder["target"], from: "many");
        Assert.False(Directory.Exists(_folder["target"]));
    }

    [Fact]
    public void A_model_in_memory_has_no_companions()
    {
        var model = Model.Parse(new ModelProto { IrVersion = 9, Graph = new GraphProto() }.ToByteArray());
        Assert.Contains("not read from a file", Assert.Throws<OnnxException>(() => model.SaveTo(_folder["target"])).Message, StringComparison.Ordinal);
    }

    private Model Open(string folder = "source") => Model.Open(Path.Combine(_folder.Path, folder, "model.onnx"));

    private void Refused(string message, string target, bool force = false, string from = "source")
    {
        var before = Directory.GetFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal).ToList();
        Assert.Contains(message, Assert.Throws<OnnxException>(() => Open(from).SaveTo(target, new SaveOptions { Force = force })).Message, StringComparison.Ordinal);
        Assert.Equal(before, Directory.GetFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal));
    }

    private void AssertSourceUntouched() => Assert.Equal(_before, Snapshot.Of(_folder["source"]));

    private List<string> FilesIn(params string[] folder) =>
        [.. Directory.GetFiles(_folder[folder], "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None })
            .Select(file => Path.GetRelativePath(_folder[folder], file).Replace('\\', '/')).Order(StringComparer.Ordinal)];

    private void Write(string[] path, byte[] bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder[path])!);
        File.WriteAllBytes(_folder[path], bytes);
    }

    private static byte[] MakeModel(params string[] locations)
    {
        var graph = new GraphProto();
        foreach (var location in locations)
            graph.Initializer.Add(new TensorProto
            {
                Name = $"w{graph.Initializer.Count}",
                DataType = (int)DataType.UInt8,
                Dims = { 3 },
                DataLocation = TensorProto.Types.DataLocation.External,
                ExternalData = { new StringStringEntryProto { Key = "location", Value = location } },
            });
        return new ModelProto { IrVersion = 9, Graph = graph }.ToByteArray();
    }

    // Extra files in the midst of which something happens.
    private static Dictionary<string, Func<byte[]>?> Interrupted(Action action) =>
        new() { ["extra.json"] = () => [1], ["more.json"] = () => { action(); return [2]; } };
}
