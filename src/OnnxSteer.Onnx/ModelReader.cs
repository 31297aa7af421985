using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>
/// Finds the parts of a model in its bytes. A singular message that the file holds in pieces is the concatenation of
/// its pieces; of a singular number or text the last one counts (Protocol Buffers encoding, "Last One Wins").
/// </summary>
internal sealed class ModelReader(Model model, NamePool names)
{
    // Deeper than any exporter goes, and far from the end of the stack.
    private const int MaxGraphDepth = 32;

    private readonly WireCursor _cursor = new(model.Source, names);
    private readonly List<Graph> _graphs = [];
    private readonly HashSet<string> _paths = [];
    private readonly List<Tensor> _external = [];

    // What a node or tensor holds, gathered here again and again.
    private readonly List<string> _inputs = [], _outputs = [];
    private readonly List<WireField> _attributes = [];
    private readonly List<long> _dims = [];
    private readonly Dictionary<string, string> _entries = [];

    public void Read()
    {
        if (model.Source.Length == 0)
            throw new OnnxException($"{model.Source.Name}: the file is empty; an ONNX model was expected.");
        string producer = "", version = "";
        _paths.Add(Graph.MainPath);
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
                    opsets.Add(Import(field));
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
        (model.Graphs, model.ExternalTensors) = ([.. _graphs], [.. _external]);
    }

    private Graph ReadGraph(string path, Graph? outer, ImmutableArray<Frame> frames, int depth)
    {
        if (depth > MaxGraphDepth)
            throw _cursor.Broken(frames[0].Field.Start, $"subgraphs nested deeper than {MaxGraphDepth}");
        var graph = new Graph(model, path, outer) { Frames = frames };
        _graphs.Add(graph);
        var (nodes, bodies) = (new List<Node>(), 0);
        var (initializers, sparse) = (new List<Tensor>(), new List<Tensor>());
        var sparseNames = new List<string>();
        var (inputs, outputs, infos) = (new List<ValueInfo>(), new List<ValueInfo>(), new List<ValueInfo>());
        foreach (var frame in frames)
        {
            _cursor.Enter(frame.Field.Body);
            while (_cursor.Next(frame.Field.End, out var field))
                switch (field)
                {
                    case { Number: 1, Type: WireType.Length }:
                        AddNode(graph, nodes, frame, field, ref bodies, depth);
                        break;
                    case { Number: 2, Type: WireType.Length }:
                        graph.Name = _cursor.Name(field);
                        break;
                    case { Number: 5, Type: WireType.Length }:
                        initializers.Add(ReadTensor([field]));
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
                        var parts = ReadSparse([field]);
                        _cursor.Enter(field.End);
                        sparseNames.Add(parts is [var values, ..] ? values.Name : "");
                        sparse.AddRange(parts);
                        break;
                }
        }
        (graph.Inputs, graph.Outputs, graph.ValueInfos) = ([.. inputs], [.. outputs], [.. infos]);
        (graph.Initializers, graph.SparseInitializers, graph.OtherTensors) = ([.. initializers], [.. sparseNames], [.. sparse]);
        graph.Nodes = [.. nodes];
        return graph;
    }

    private Graph ReadFunction(WireField function)
    {
        string name = "", domain = "", overload = "";
        var (nodeFields, defaults) = (new List<WireField>(), new List<WireField>());
        var (inputs, outputs, infos) = (new List<ValueInfo>(), new List<ValueInfo>(), new List<ValueInfo>());
        var opsets = new List<OpsetImport>();
        var frame = new Frame(null, function);
        _cursor.Enter(function.Body);
        while (_cursor.Next(function.End, out var field))
            switch (field)
            {
                case { Number: 1, Type: WireType.Length }:
                    name = _cursor.Name(field);
                    break;
                case { Number: 4, Type: WireType.Length }:
                    inputs.Add(new ValueInfo(null, field, _cursor.Name(field)));
                    break;
                case { Number: 5, Type: WireType.Length }:
                    outputs.Add(new ValueInfo(null, field, _cursor.Name(field)));
                    break;
                case { Number: 7, Type: WireType.Length }:
                    nodeFields.Add(field);
                    break;
                case { Number: 9, Type: WireType.Length }:
                    opsets.Add(Import(field));
                    break;
                case { Number: 10, Type: WireType.Length }:
                    domain = _cursor.Name(field);
                    break;
                case { Number: 11, Type: WireType.Length }:
                    defaults.Add(field);
                    break;
                case { Number: 12, Type: WireType.Length }:
                    infos.Add(ReadInfo(field));
                    break;
                case { Number: 13, Type: WireType.Length }:
                    overload = _cursor.Name(field);
                    break;
            }
        var path = NewPath($"function/{domain}:{name}{(overload.Length > 0 ? $":{overload}" : "")}");
        var graph = new Graph(model, path, null) { IsFunction = true, Name = name, Frames = [frame], Inputs = [.. inputs], Outputs = [.. outputs], ValueInfos = [.. infos] };
        graph.FunctionOpsets = [.. opsets];
        _graphs.Add(graph);
        graph.OtherTensors = [.. defaults.SelectMany(field => ReadAttribute(graph, null, field, 0, 0).Tensors)];
        var (nodes, bodies) = (new List<Node>(), 0);
        foreach (var node in nodeFields)
            AddNode(graph, nodes, frame, node, ref bodies, 0);
        graph.Nodes = [.. nodes];
        return graph;
    }

    private void AddNode(Graph graph, List<Node> nodes, Frame around, WireField where, ref int bodies, int depth)
    {
        var node = new Node(graph, around, where, nodes.Count);
        nodes.Add(node);
        _inputs.Clear();
        _outputs.Clear();
        _attributes.Clear();
        _cursor.Enter(where.Body);
        while (_cursor.Next(where.End, out var field))
        {
            if (field.Type != WireType.Length)
                continue;
            switch (field.Number)
            {
                case 1:
                    _inputs.Add(_cursor.Name(field));
                    break;
                case 2:
                    _outputs.Add(_cursor.Name(field));
                    break;
                case 3:
                    node.Name = _cursor.Name(field);
                    break;
                case 4:
                    node.OpType = _cursor.Name(field);
                    break;
                case 5:
                    _attributes.Add(field);
                    break;
                case 7:
                    node.Domain = _cursor.Name(field);
                    break;
                case 8:
                    node.Overload = _cursor.Name(field);
                    break;
                case 9:
                    node.Metadata = node.Metadata.Add(Entry(field));
                    break;
            }
        }
        (node.Inputs, node.Outputs) = ([.. _inputs], [.. _outputs]);
        if (_attributes.Count > 0)
        {
            var attributes = _attributes.ToArray();
            var read = new NodeAttribute[attributes.Length];
            for (var i = 0; i < read.Length; i++)
                read[i] = ReadAttribute(graph, node, attributes[i], bodies, depth);
            node.Attributes = ImmutableCollectionsMarshal.AsImmutableArray(read);
            bodies += node.Attributes.Any(attribute => !attribute.Graphs.IsEmpty) ? 1 : 0;
        }
        _cursor.Enter(where.End);
    }

    private NodeAttribute ReadAttribute(Graph graph, Node? node, WireField where, int bodies, int depth)
    {
        var name = "";
        var (number, integer) = (0f, 0L);
        var (tensorPieces, sparsePieces, graphPieces) = (ImmutableArray<WireField>.Empty, ImmutableArray<WireField>.Empty, ImmutableArray<WireField>.Empty);
        var (tensorList, sparseList, graphList) = (ImmutableArray<WireField>.Empty, ImmutableArray<WireField>.Empty, ImmutableArray<WireField>.Empty);
        _cursor.Enter(where.Body);
        while (_cursor.Next(where.End, out var field))
            switch (field)
            {
                case { Number: 1, Type: WireType.Length }:
                    name = _cursor.Name(field);
                    break;
                case { Number: 2, Type: WireType.Fixed32 }:
                    number = BitConverter.UInt32BitsToSingle((uint)field.Value);
                    break;
                case { Number: 3, Type: WireType.Varint }:
                    integer = (long)field.Value;
                    break;
                case { Number: 5, Type: WireType.Length }:
                    tensorPieces = tensorPieces.Add(field);
                    break;
                case { Number: 6, Type: WireType.Length }:
                    graphPieces = graphPieces.Add(field);
                    break;
                case { Number: 10, Type: WireType.Length }:
                    tensorList = tensorList.Add(field);
                    break;
                case { Number: 11, Type: WireType.Length }:
                    graphList = graphList.Add(field);
                    break;
                case { Number: 22, Type: WireType.Length }:
                    sparsePieces = sparsePieces.Add(field);
                    break;
                case { Number: 23, Type: WireType.Length }:
                    sparseList = sparseList.Add(field);
                    break;
            }
        var attribute = new NodeAttribute(model, where, name, tensorPieces.IsEmpty ? null : ReadTensor(tensorPieces)) { Int = integer, Float = number };
        if (!tensorList.IsEmpty || !sparsePieces.IsEmpty || !sparseList.IsEmpty)
            attribute.OtherTensors = [.. tensorList.Select(field => ReadTensor([field])), .. ReadSparse(sparsePieces), .. sparseList.SelectMany(field => ReadSparse([field]))];
        if (!graphPieces.IsEmpty || !graphList.IsEmpty)
            attribute.Graphs = ReadBodies(graph, new Frame(node?.Frame ?? graph.Frames[0], where), $"{node?.Name ?? "default"}:{name}", $"{node?.Name ?? "default"}#{bodies}:{name}", graphPieces, graphList, depth + 1);
        return attribute;
    }

    // A body is named after its node. One without a name, or with that of another, is told apart by how many nodes with
    // bodies come before it, which a patch does not change.
    private ImmutableArray<Graph> ReadBodies(
        Graph graph, Frame attribute, string name, string numbered, ImmutableArray<WireField> pieces, ImmutableArray<WireField> list, int depth)
    {
        var bodies = list.Select((field, i) => (Fields: ImmutableArray.Create(field), Place: $"[{i}]"));
        if (!pieces.IsEmpty)
            bodies = bodies.Prepend((pieces, ""));
        return [.. bodies.Select(body => ReadGraph(PathOf(body.Place), graph, [.. body.Fields.Select(field => new Frame(attribute, field))], depth))];

        string PathOf(string place) =>
            name[0] != ':' && $"{graph.Path}/{name}{place}" is var path && !_paths.Contains(path) ? NewPath(path) : NewPath($"{graph.Path}/{numbered}{place}");
    }

    private string NewPath(string path)
    {
        while (!_paths.Add(path))
            path += "'";
        return path;
    }

    private Tensor ReadTensor(ImmutableArray<WireField> pieces)
    {
        var name = "";
        var type = DataType.Undefined;
        WireField? raw = null;
        var external = false;
        _dims.Clear();
        _entries.Clear();
        foreach (var piece in pieces)
        {
            _cursor.Enter(piece.Body);
            while (_cursor.Next(piece.End, out var field))
                switch (field)
                {
                    case { Number: 1, Type: WireType.Varint or WireType.Length }:
                        _cursor.AddIntegers(field, _dims);
                        break;
                    case { Number: 2, Type: WireType.Varint }:
                        type = (DataType)field.Value;
                        break;
                    case { Number: 8, Type: WireType.Length }:
                        name = _cursor.Name(field);
                        break;
                    case { Number: 9, Type: WireType.Length }:
                        raw = field;
                        break;
                    case { Number: 13, Type: WireType.Length }:
                        var entry = Entry(field);
                        _entries[entry.Key] = entry.Value;
                        break;
                    case { Number: 14, Type: WireType.Varint }:
                        external = field.Value == 1;
                        break;
                }
        }
        if (!pieces.IsEmpty)
            _cursor.Enter(pieces[^1].End);
        var tensor = new Tensor(model, pieces, name, type, [.. _dims], raw, external ? Location(name, _entries, pieces[0]) : null);
        if (external)
            _external.Add(tensor);
        return tensor;
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

    // The values, which bear the name, and the indices.
    private ImmutableArray<Tensor> ReadSparse(ImmutableArray<WireField> pieces)
    {
        var (values, indices) = (ImmutableArray<WireField>.Empty, ImmutableArray<WireField>.Empty);
        foreach (var piece in pieces)
        {
            _cursor.Enter(piece.Body);
            while (_cursor.Next(piece.End, out var field))
                if (field.Is(1, WireType.Length))
                    values = values.Add(field);
                else if (field.Is(2, WireType.Length))
                    indices = indices.Add(field);
        }
        return pieces.IsEmpty ? [] : indices.IsEmpty ? [ReadTensor(values)] : [ReadTensor(values), ReadTensor(indices)];
    }

    private ValueInfo ReadInfo(WireField info)
    {
        var name = "";
        _cursor.Enter(info.Body);
        while (_cursor.Next(info.End, out var field))
            if (field.Is(1, WireType.Length))
                name = _cursor.Name(field);
        return new ValueInfo(model, info, name);
    }

    private OpsetImport Import(WireField field)
    {
        var import = model.Message(OperatorSetIdProto.Parser, field);
        return new OpsetImport(import.Domain, import.Version);
    }

    private KeyValuePair<string, string> Entry(WireField entry)
    {
        var (key, value) = ("", "");
        _cursor.Enter(entry.Body);
        while (_cursor.Next(entry.End, out var field))
            if (field.Is(1, WireType.Length))
                key = _cursor.Text(field);
            else if (field.Is(2, WireType.Length))
                value = _cursor.Text(field);
        return KeyValuePair.Create(key, value);
    }
}
