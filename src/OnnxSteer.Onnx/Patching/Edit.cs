using OnnxSteer.Onnx.Protobuf;
using OnnxSteer.Onnx.Wire;

namespace OnnxSteer.Onnx.Patching;

/// <summary>
/// One edit of a model. Values, and the nodes that make them, are named as they are before the patch; all edits of a
/// patch happen at once.
/// </summary>
/// <param name="Label">What the edit is for, to read in a printed patch.</param>
public abstract record Edit(string Label);

/// <summary>Where new nodes go, since bodies of control flow nodes must stay sorted.</summary>
public abstract record Anchor
{
    /// <summary>Before all nodes.</summary>
    public static Anchor Start { get; } = new AtStart();

    /// <summary>Directly behind the node that makes a value.</summary>
    public static Anchor After(string value) => new Behind(value);

    /// <summary>Directly before the node that makes a value.</summary>
    public static Anchor Before(string value) => new Ahead(value);

    /// <summary>Behind all nodes.</summary>
    public static Anchor End { get; } = new AtEnd();

    internal sealed record AtStart : Anchor;

    internal sealed record AtEnd : Anchor;

    internal sealed record Behind(string Value) : Anchor;

    internal sealed record Ahead(string Value) : Anchor;
}

/// <summary>Adds a node.</summary>
public sealed record AddNode(string Label, string Graph, Anchor Anchor, NodeProto Node) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() =>
        $"{Label}: add {Node.OpType}({string.Join(", ", Node.Input)}) -> {string.Join(", ", Node.Output)} to {Graph}";
}

/// <summary>Adds an initializer. One that callers may override is an input too: <see cref="AddInput"/>.</summary>
public sealed record AddInitializer(string Label, string Graph, TensorProto Tensor) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: add initializer {Tensor.Name} [{string.Join(", ", Tensor.Dims)}] to {Graph}";
}

/// <summary>Adds an input to the main graph.</summary>
public sealed record AddInput(string Label, ValueInfoProto Info) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: add input {Info.Name}";
}

/// <summary>Adds an output to the main graph, or to the body of a control flow node, which then gets one more output itself.</summary>
public sealed record AddOutput(string Label, ValueInfoProto Info) : Edit(Label)
{
    /// <summary>Path of the graph.</summary>
    public string Graph { get; init; } = Onnx.Graph.MainPath;

    /// <inheritdoc/>
    public override string ToString() => $"{Label}: add output {Info.Name}{(Graph == Onnx.Graph.MainPath ? "" : $" to {Graph}")}";
}

/// <summary>Gives the value that a node makes another name; whoever reads the old name reads what now bears it.</summary>
public sealed record RenameOutput(string Label, string Graph, string Value, string NewName) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: rename output {Value} to {NewName} in {Graph}";
}

/// <summary>Makes one input of the node that makes <paramref name="Value"/> read another value; an optional one may have been left out.</summary>
public sealed record ReplaceInput(string Label, string Graph, string Value, int Input, string NewName) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: input {Input} of the node that makes {Value} reads {NewName} in {Graph}";
}

/// <summary>Names an optional output that the node which makes <paramref name="Value"/> leaves out.</summary>
public sealed record EnableOutput(string Label, string Graph, string Value, int Output, string Name) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: output {Output} of the node that makes {Value} becomes {Name} in {Graph}";
}

/// <summary>
/// Gives an initializer other contents of the same type and shape; whoever reads it reads the new ones. Large contents, and those that
/// lay outside the model file, go to a new data file beside it when the model is saved; the old ones stay where they are.
/// </summary>
public sealed record RewriteInitializer(string Label, string Graph, string Name, ByteSource Data) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: rewrite initializer {Name} of {Graph}";
}

/// <summary>Gives the node that makes <paramref name="Value"/> an attribute, in place of the one of that name if there is one.</summary>
public sealed record SetAttribute(string Label, string Graph, string Value, AttributeProto Attribute) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: attribute {Attribute.Name} of the node that makes {Value} in {Graph}";
}

/// <summary>What <see cref="Remove"/> takes away.</summary>
public enum Part
{
    /// <summary>The node at that index.</summary>
    Node,
    /// <summary>The initializer at that index.</summary>
    Initializer,
    /// <summary>The graph input at that index.</summary>
    Input,
    /// <summary>The graph output at that index.</summary>
    Output,
    /// <summary>The value annotation at that index.</summary>
    ValueInfo,
}

/// <summary>Removes a part of a graph, named by its position in the file, since names may be missing.</summary>
public sealed record Remove(string Label, string Graph, Part Part, int Index) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: remove {Part} {Index} of {Graph}";
}

/// <summary>Sets the IR version.</summary>
public sealed record SetIrVersion(string Label, long Version) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: IR version {Version}";
}

/// <summary>Adds a metadata entry to the model.</summary>
public sealed record AddMetadata(string Label, string Key, string Value) : Edit(Label)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Label}: metadata {Key}";
}
