using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Patching;
using OnnxSteer.Onnx.Protobuf;

namespace OnnxSteer;

/// <summary>Graph inputs with a default: initializers that a run may override.</summary>
internal sealed class OptionalInputs(Model model)
{
    /// <summary>The symbolic size of inputs that hold one value or one per batch row.</summary>
    public const string Rows = "onnxsteer_rows";

    private readonly List<Edit> _edits = [];

    public IEnumerable<Edit> Edits => _edits;

    /// <summary>Adds one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="axes">What each axis is called, since callers may give other sizes than the default has; empty for one of size 1.</param>
    /// <param name="dims">Sizes of the default.</param>
    /// <param name="bytes">The default.</param>
    /// <exception cref="OnnxException">The graph has that input already.</exception>
    public void Add(string name, DataType type, ReadOnlySpan<string> axes, ReadOnlySpan<long> dims, ReadOnlySpan<byte> bytes)
    {
        if (model.Graph.Defines(name))
            throw new OnnxException($"{model.Source.Name}: the input '{name}' is there already, from an earlier patch. Give this map a label of its own (--label), so that it gets its own inputs.");
        if (_edits.Count == 0 && model.IrVersion < 4)
            _edits.Add(new SetIrVersion("inputs with a default need it", 4));
        var shape = new TensorShapeProto();
        foreach (var axis in axes)
            shape.Dim.Add(axis.Length > 0 ? new TensorShapeProto.Types.Dimension { DimParam = axis } : new TensorShapeProto.Types.Dimension { DimValue = 1 });
        var info = new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
        _edits.Add(new AddInput("input", info));
        _edits.Add(new AddInitializer("input", Graph.MainPath, Ops.Tensor(name, type, dims, bytes)));
    }
}
