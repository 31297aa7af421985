using OnnxSteer.Fixtures;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Onnx.Tests.Generation;

/// <summary>One model to try a property on: its bytes, our reading of them, and Google.Protobuf's.</summary>
internal sealed class ModelCase : IDisposable
{
    private readonly TemporaryFolder? _folder;

    private ModelCase(byte[] bytes, string? folder, TemporaryFolder? temporary)
    {
        (Bytes, _folder) = (bytes, temporary);
        Model = Model.Parse(bytes, folder);
        Oracle = ModelProto.Parser.ParseFrom(bytes);
    }

    public byte[] Bytes { get; }

    public Model Model { get; }

    public ModelProto Oracle { get; }

    /// <summary>The generated model of a seed, in an encoding as odd as they come.</summary>
    public static ModelCase Generated(int seed, Oddity? oddity = null)
    {
        var (proto, data) = RandomModel.Make(seed);
        var folder = new TemporaryFolder();
        File.WriteAllBytes(folder[RandomModel.DataFile], data);
        return new ModelCase(WireEncoder.Encode(proto, new Random(seed + 1_000_000), oddity), folder.Path, folder);
    }

    /// <summary>The first generated model of that kind.</summary>
    public static ModelCase First(Func<Model, bool> isWanted)
    {
        for (var seed = 0; ; seed++)
        {
            var model = Generated(seed);
            if (isWanted(model.Model))
                return model;
            model.Dispose();
        }
    }

    /// <summary>A model file as some exporter wrote it.</summary>
    public static ModelCase OfFile(string path) => new(File.ReadAllBytes(path), Path.GetDirectoryName(path), null);

    /// <summary>All reference models, as arguments of a theory.</summary>
    public static TheoryData<string> SharedModels()
    {
        var files = Folders.HasShared ? Directory.GetFiles(Folders.InShared("models"), "*.onnx", SearchOption.AllDirectories) : [];
        return [.. files.Select(file => Path.GetRelativePath(Folders.InShared("models"), file)).Order(StringComparer.Ordinal)];
    }

    public static ModelCase Shared(string path) => OfFile(Folders.InShared("models", path));

    public void Dispose() => _folder?.Dispose();
}
