using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer.Running.Tests;

/// <summary>A copy of a model whose names tell nothing: nodes, values and parameters are numbered, metadata are gone.</summary>
internal sealed class Anonymous
{
    private readonly Dictionary<string, string> names = [];

    private Anonymous(Model model)
    {
        var proto = ModelProto.Parser.ParseFrom(model.Source.ToArray());
        proto.ProducerName = "";
        proto.MetadataProps.Clear();
        foreach (var name in proto.Graph.Input.Concat(proto.Graph.Output).Select(info => info.Name))
            names[name] = name;
        Strip(proto.Graph);
        using var stream = new MemoryStream();
        Google.Protobuf.MessageExtensions.WriteTo(proto, stream);
        Model = Model.Parse(stream.ToArray(), model.Folder);
    }

    public Model Model { get; }

    public static Anonymous Of(Model model) => new(model);

    /// <summary>What a value of the original is called here.</summary>
    public string this[string value] => names[value];

    private void Strip(GraphProto graph)
    {
        graph.ValueInfo.Clear();
        foreach (var tensor in graph.Initializer)
            tensor.Name = Renamed(tensor.Name);
        foreach (var info in graph.Input.Concat(graph.Output))
            info.Name = Renamed(info.Name);
        foreach (var (i, node) in graph.Node.Index())
        {
            (node.Name, node.DocString) = ($"n{i}", "");
            node.MetadataProps.Clear();
            for (var k = 0; k < node.Input.Count; k++)
                node.Input[k] = Renamed(node.Input[k]);
            for (var k = 0; k < node.Output.Count; k++)
                node.Output[k] = Renamed(node.Output[k]);
            foreach (var attribute in node.Attribute.Where(attribute => attribute.G is not null))
                Strip(attribute.G);
        }
    }

    private string Renamed(string name) => name.Length == 0 ? name : names.TryGetValue(name, out var known) ? known : names[name] = $"v{names.Count}";
}
