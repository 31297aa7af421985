using System.Collections.Immutable;
using OnnxSteer.Onnx.Diffing;
using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx;

/// <summary>An attribute of a node (AttributeProto). Subgraphs and tensors are views; other values are read when asked for.</summary>
public sealed class NodeAttribute
{
    private const int MaxText = 200;

    private readonly Model _model;
    private readonly WireField _field;

    internal NodeAttribute(Model model, WireField field, string name, Tensor? tensor) =>
        (_model, _field, Name, Tensor) = (model, field, name, tensor);

    /// <summary>The attribute's name.</summary>
    public string Name { get; }

    /// <summary>The tensor it holds, if it holds one.</summary>
    public Tensor? Tensor { get; }

    /// <summary>Every tensor in it: the one, those of a list, values and indices of sparse ones. Those in subgraphs are not among them.</summary>
    public IEnumerable<Tensor> Tensors => Tensor is null ? OtherTensors : OtherTensors.Prepend(Tensor);

    /// <summary>The subgraphs it holds: none, one, or several.</summary>
    public ImmutableArray<Graph> Graphs { get; internal set; } = [];

    /// <summary>The integer value.</summary>
    public long Int { get; internal init; }

    /// <summary>The floating point value.</summary>
    public float Float { get; internal init; }

    /// <summary>The text value.</summary>
    public string String => Proto.S.ToStringUtf8();

    /// <summary>The list of integers.</summary>
    public IReadOnlyList<long> Ints => Proto.Ints;

    /// <summary>The list of floating point numbers.</summary>
    public IReadOnlyList<float> Floats => Proto.Floats;

    internal ImmutableArray<Tensor> OtherTensors { get; set; } = [];

    /// <summary>The value for people, cut where it is long.</summary>
    internal string Text
    {
        get
        {
            if (!Graphs.IsEmpty)
                return $"{Graphs.Length} graphs";
            if (Tensor is not null)
                return TensorDiff.TextOf(Tensor);
            var proto = Proto;
            proto.ClearName();
            proto.ClearType();
            var text = proto.ToString();
            return text.Length <= MaxText ? text : $"{text[..MaxText]}...";
        }
    }

    /// <summary>Whether both hold the same. Bodies are compared as graphs of their own.</summary>
    internal bool SameAs(NodeAttribute other) =>
        !Graphs.IsEmpty || !other.Graphs.IsEmpty ? Graphs.Length == other.Graphs.Length : Proto.Equals(other.Proto);

    // It is not kept, since most attributes of other kinds are never looked at.
    private AttributeProto Proto => _model.Message(AttributeProto.Parser, _field);
}
