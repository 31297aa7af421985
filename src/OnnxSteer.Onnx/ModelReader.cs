using System.Collections.Immutable;
using System.Globalization;
using Google.Protobuf;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>
/// Finds the parts of a model in its bytes. A singular message that the file holds in pieces is the concatenation of
/// its pieces; of a singular number or text the last one counts (Protocol Buffers encoding, "Last One Wins").
/// </summary>
internal sealed class ModelReader(Model model)
{
    // Deeper than any exporter goes, and far from the end of the stack.
    private const int MaxGraphDepth = 32;

    private readonly WireCursor _cursor = new(model.Source);
    private readonly List<Graph> _graphs = [];

    public void Read()
    {
        if (model.Source.Length == 0)
            throw new OnnxException($"{model.Source.Name}: the file is empty; an ONNX model was expected.");
        string producer = "", version = "";
        var (opsets, metadata) = (new List<OpsetImport>(), new List<KeyValuePair<string, string>>());
        var (graphFields, functionFields) = (new List<WireField>(), new List<WireField>());
        _cursor.Enter(0);
        while (_cursor.Next(model.Source.Length, out var field))
            switch (field)
            {
                case { Number: 1, Type: WireType.Varint }:
                    (model.IrVersion, model.IrVersionField) = ((long)field.Value, field);
                    break;
                case { Number: 2, Type: WireType.Length }:
                    producer = _cursor.Text(field);
                    break;
                case { Number: 3, Type: WireType.Length }:
                    version = _cursor.Text(field);
                    break;
                case { Number: 7, Type: WireType.Length }:
                    graphFields.Add(field);
                    break;
                case { Number: 8, Type: WireType.Length }:
                    var import = Message(OperatorSetIdProto.Parser, field);
                    opsets.Add(new OpsetImport(import.Domain, import.Version));
                    break;
                case { Number: 14, Type: WireType.Length }:
                    metadata.Add(Entry(field));
                    break;
                case { Number: 25, Type: WireType.Length }:
                    functionFields.Add(field);
                    break;
            }
        if (graphFields.Count == 0 || model.IrVersionField is null)
            throw _cursor.Broken(0, graphFields.Count == 0 ? "it holds no graph" : "it states no ir_version");
        (model.Producer, model.Opsets, model.Metadata) = ($"{producer} {version}".Trim(), [.. opsets], [.. metadata]);
        model.Graph = ReadGraph(Graph.MainPath, null, [.. graphFields.Select(field => new Frame(null, field))], 0);
        model.Functions = [.. functionFields.Select(ReadFunction)];
        model.Graphs = [.. _graphs];
    }

    private Graph ReadGraph(string path, Graph? outer, ImmutableArray<Frame> frames, int depth)
    {
        if (depth > MaxGraphDepth)
            throw _cursor.Broken(frames[0].Field.Start, $"subgraphs nested deeper than {MaxGraphDepth}");
        var graph = new Graph(model, path, outer) { Frames = frames };
        _graphs.Add(graph);
        var nodes = new List<Frame>();
        var (initializers, sparse) = (new List<Tensor>(), new List<string>());
        var (inputs, outputs, infos) = (new List<ValueInfo>(), new List<ValueInfo>(), new List<ValueInfo>());
        foreach (var frame in frames)
        {
            _cursor.Enter(frame.Field.Body);
            while (_cursor.Next(frame.Field.End, out var field))
                switch (field)
                {
                    case { Number: 1, Type: WireType.Length }:
                        nodes.Add(new Frame(frame, field));
                        break;
                    case { Number: 2, Type: WireType.Length }:
                        graph.Name = _cursor.Text(field);
                        break;
                    case { Number: 5, Type: WireType.Length }:
                        initializers.Add(Inside(field, () => ReadTensor([field])));
                        break;
                    case { Number: 11, Type: WireType.Length }:
                        inputs.Add(ReadInfo(field));
                        break;
                    case { Number: 12, Type: WireType.Length }:
                        outputs.Add(ReadInfo(field));
                        break;
                    case { Number: 13, Type: WireType.Length }:
                        infos.Add(ReadInfo(field));
                        break;
                    case { Number: 15, Type: WireType.Length }:
                        sparse.Add(Inside(field, () => ReadSparseName(field)));
                        break;
                }
        }
        (graph.Inputs, graph.Outputs, graph.ValueInfos) = ([.. inputs], [.. outputs], [.. infos]);
        (graph.Initializers, graph.SparseInitializers) = ([.. initializers], [.. sparse]);
        graph.Nodes = ReadNodes(graph, nodes, depth);
        return graph;
    }

    private Graph ReadFunction(WireField function)
    {
        string name = "", domain = "", overload = "";
        var nodes = new List<Frame>();
        var (inputs, outputs) = (new List<ValueInfo>(), new List<ValueInfo>());
        var frame = new Frame(null, function);
        _cursor.Enter(function.Body);
        while (_cursor.Next(function.End, out var field))
            switch (field)
            {
                case { Number: 1, Type: WireType.Length }:
                    name = _cursor.Text(field);
                    break;
                case { Number: 4, Type: WireType.Length }:
                    inputs.Add(new ValueInfo(field, _cursor.Text(field), null));
                    break;
                case { Number: 5, Type: WireType.Length }:
                    outputs.Add(new ValueInfo(field, _cursor.Text(field), null));
                    break;
                case { Number: 7, Type: WireType.Length }:
                    nodes.Add(new Frame(frame, field));
                    break;
                case { Number: 10, Type: WireType.Length }:
                    domain = _cursor.Text(field);
                    break;
                case { Number: 13, Type: WireType.Length }:
                    overload = _cursor.Text(field);
                    break;
            }
        var path = $"function/{domain}:{name}{(overload.Length > 0 ? $":{overload}" : "")}";
        var graph = new Graph(model, path, null) { Name = name, Frames = [frame], Inputs = [.. inputs], Outputs = [.. outputs] };
        _graphs.Add(graph);
        graph.Nodes = ReadNodes(graph, nodes, 0);
        return graph;
    }

    private ImmutableArray<Node> ReadNodes(Graph graph, List<Frame> frames, int depth)
    {
        var nodes = ImmutableArray.CreateBuilder<Node>(frames.Count);
        var labels = new HashSet<string>();
        foreach (var frame in frames)
            nodes.Add(ReadNode(graph, frame, nodes.Count, depth, labels));
        return nodes.MoveToImmutable();
    }

    private Node ReadNode(Graph graph, Frame frame, int index, int depth, HashSet<string> labels)
    {
        var node = new Node(graph, frame, index);
        var (inputs, outputs) = (ImmutableArray.CreateBuilder<string>(), ImmutableArray.CreateBuilder<string>());
        var attributes = new List<WireField>();
        _cursor.Enter(frame.Field.Body);
        while (_cursor.Next(frame.Field.End, out var field))
        {
            if (field.Type != WireType.Length)
                continue;
            switch (field.Number)
            {
                case 1:
                    inputs.Add(_cursor.Text(field));
                    break;
                case 2:
                    outputs.Add(_cursor.Text(field));
                    break;
                case 3:
                    node.Name = _cursor.Text(field);
                    break;
                case 4:
                    node.OpType = _cursor.Text(field);
                    break;
                case 5:
                    attributes.Add(field);
                    break;
                case 7:
                    node.Domain = _cursor.Text(field);
                    break;
                case 8:
                    node.Overload = _cursor.Text(field);
                    break;
                case 9:
                    node.Metadata = node.Metadata.Add(Entry(field));
                    break;
            }
        }
        (node.Inputs, node.Outputs) = (inputs.DrainToImmutable(), outputs.DrainToImmutable());
        // Control flow bodies are named after their node; a second node of that name needs its index to be told apart.
        var label = node.Label;
        if (attributes.Count > 0)
            node.Attributes = [.. attributes.Select(field => ReadAttribute(graph, new Frame(frame, field), UniqueLabel, depth))];
        return node;

        string UniqueLabel() => labels.Add(label) ? label : label = $"{node.Label}#{index}";
    }

    private NodeAttribute ReadAttribute(Graph graph, Frame frame, Func<string> nodeLabel, int depth)
    {
        var name = "";
        var (tensorPieces, graphPieces, graphList) = (ImmutableArray<WireField>.Empty, ImmutableArray<Frame>.Empty, new List<Frame>());
        _cursor.Enter(frame.Field.Body);
        while (_cursor.Next(frame.Field.End, out var field))
            switch (field)
            {
                case { Number: 1, Type: WireType.Length }:
                    name = _cursor.Text(field);
                    break;
                case { Number: 5, Type: WireType.Length }:
                    tensorPieces = tensorPieces.Add(field);
                    break;
                case { Number: 6, Type: WireType.Length }:
                    graphPieces = graphPieces.Add(new Frame(frame, field));
                    break;
                case { Number: 11, Type: WireType.Length }:
                    graphList.Add(new Frame(frame, field));
                    break;
            }
        var attribute = new NodeAttribute(model, frame.Field, name, tensorPieces.IsEmpty ? null : ReadTensor(tensorPieces));
        if (graphPieces.IsEmpty && graphList.Count == 0)
            return attribute;
        var path = $"{graph.Path}/{nodeLabel()}:{name}";
        if (!graphPieces.IsEmpty)
            attribute.Graphs = [ReadGraph(path, graph, graphPieces, depth + 1)];
        for (var i = 0; i < graphList.Count; i++)
            attribute.Graphs = attribute.Graphs.Add(ReadGraph($"{path}[{i}]", graph, [graphList[i]], depth + 1));
        return attribute;
    }

    private Tensor ReadTensor(ImmutableArray<WireField> pieces)
    {
        var name = "";
        var type = DataType.Undefined;
        var dims = new List<long>();
        WireField? raw = null;
        var entries = new Dictionary<string, string>();
        var external = false;
        foreach (var piece in pieces)
        {
            _cursor.Enter(piece.Body);
            while (_cursor.Next(piece.End, out var field))
                switch (field)
                {
                    case { Number: 1, Type: WireType.Varint or WireType.Length }:
                        _cursor.AddIntegers(field, dims);
                        break;
                    case { Number: 2, Type: WireType.Varint }:
                        type = (DataType)field.Value;
                        break;
                    case { Number: 8, Type: WireType.Length }:
                        name = _cursor.Text(field);
                        break;
                    case { Number: 9, Type: WireType.Length }:
                        raw = field;
                        break;
                    case { Number: 13, Type: WireType.Length }:
                        var entry = Entry(field);
                        entries[entry.Key] = entry.Value;
                        break;
                    case { Number: 14, Type: WireType.Varint }:
                        external = field.Value == 1;
                        break;
                }
        }
        return new Tensor(model, pieces, name, type, [.. dims], raw, external ? Location(name, entries, pieces[0]) : null);
    }

    private ExternalLocation Location(string tensor, Dictionary<string, string> entries, WireField where)
    {
        if (!entries.TryGetValue("location", out var location) || location.Length == 0)
            throw _cursor.Broken(where.Start, $"tensor '{tensor}' has external data without a location");
        return new ExternalLocation(location, Number("offset") ?? 0, Number("length"));

        long? Number(string key) =>
            !entries.TryGetValue(key, out var text) ? null
            : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
            : throw _cursor.Broken(where.Start, $"tensor '{tensor}' has external data with the {key} '{text}'");
    }

    private string ReadSparseName(WireField sparse)
    {
        var values = ImmutableArray<WireField>.Empty;
        _cursor.Enter(sparse.Body);
        while (_cursor.Next(sparse.End, out var field))
            if (field.Is(1, WireType.Length))
                values = values.Add(field);
        return values.IsEmpty ? "" : ReadTensor(values).Name;
    }

    private ValueInfo ReadInfo(WireField field)
    {
        var proto = Message(ValueInfoProto.Parser, field);
        return new ValueInfo(field, proto.Name, proto.Type);
    }

    private KeyValuePair<string, string> Entry(WireField field)
    {
        var entry = Message(StringStringEntryProto.Parser, field);
        return KeyValuePair.Create(entry.Key, entry.Value);
    }

    private T Inside<T>(WireField field, Func<T> read)
    {
        var result = read();
        _cursor.Enter(field.End);
        return result;
    }

    private T Message<T>(MessageParser<T> parser, WireField field) where T : IMessage<T>
    {
        if (field.Length > 1 << 26)
            throw _cursor.Broken(field.Start, $"a description of {field.Length} bytes; the largest allowed is {1 << 26}");
        var bytes = new byte[field.Length];
        _cursor.Read(field.Body, bytes);
        try
        {
            return parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw _cursor.Broken(field.Start, $"a message that does not parse ({e.Message})");
        }
    }
}
