using System.Collections.Immutable;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Inference;

namespace OnnxSteer;

/// <summary>How a value is steered.</summary>
public enum Hook
{
    /// <summary>Rename the producer's output and insert nodes behind it.</summary>
    After,

    /// <summary>The sum inside a fused skip norm: the change goes in through the node's skip input, so that its norm sees it too.</summary>
    Unfuse,

    /// <summary>As <see cref="Unfuse"/>, and the sum's optional output is not enabled in the file.</summary>
    Absent,

    /// <summary>As <see cref="After"/>, but the value lacks the module's bias, which the next operator adds.</summary>
    BeforeBias,
}

/// <summary>How sure a dialect is of a site.</summary>
public enum Confidence
{
    /// <summary>Read off the structure alone: names are ours, made in the way of the commonest models.</summary>
    Inferred,

    /// <summary>Names or structure speak for it, not both.</summary>
    Likely,

    /// <summary>Names and structure agree.</summary>
    Certain,
}

/// <summary>Where a site, or a part of it, lies in a file.</summary>
/// <param name="At">Graph, value, and the range of its last axis that holds the site.</param>
/// <param name="NodeIndex">The producer, by its position in that graph.</param>
/// <param name="Node">The producer's name.</param>
/// <param name="ModuleRange">Which part of the module's last axis this is; null for all of it.</param>
/// <param name="Hook">How it is steered.</param>
/// <param name="MissingBias">
/// With <see cref="Hook.BeforeBias"/> the constant that the module's output has besides the value: <c>z = v + bias</c>, so
/// that <c>w*z + b</c> is <c>w*v + (b + (w-1)*bias)</c> here. Null elsewhere.
/// </param>
public sealed record Place(ValuePlace At, int NodeIndex, string Node, AxisRange? ModuleRange, Hook Hook, string? MissingBias = null);

/// <summary>A place where a transport can act, named by its module path, whatever the exporter called the value.</summary>
/// <param name="Name">Module path, such as <c>model.layers.3.post_attention_layernorm</c>, or <c>value:NAME</c>.</param>
/// <param name="Aliases">Other names: modules with the same output, and paths without the base model's prefix.</param>
/// <param name="Places">Where it lies; more than one for packed parts and for two branches.</param>
/// <param name="DataType">Element type of the value.</param>
/// <param name="Rank">Number of axes of the value, or null where unknown.</param>
/// <param name="ChannelAxis">The channels' axis: 1 of a feature map with channels first, else -1, the last.</param>
/// <param name="Channels">How many channels.</param>
/// <param name="Order">Position in execution order.</param>
/// <param name="Evidence">What the dialect went by.</param>
/// <param name="Confidence">How sure it is.</param>
/// <param name="Layout">Whether the value is a feature map: its axes but the batch's and the channels' are space, not tokens.</param>
public sealed record Site(
    string Name,
    ImmutableArray<string> Aliases,
    ImmutableArray<Place> Places,
    DataType DataType,
    int? Rank,
    int ChannelAxis,
    int Channels,
    int Order,
    string Evidence,
    Confidence Confidence,
    ImageLayout Layout = ImageLayout.None)
{
    /// <summary>The name and the aliases.</summary>
    public IEnumerable<string> Names => Aliases.Prepend(Name);

    /// <summary>The axes of space of a feature map; none for tokens.</summary>
    public ImmutableArray<long> SpaceAxes =>
        Layout == ImageLayout.None ? [] : [.. Enumerable.Range(Layout == ImageLayout.ChannelsFirst ? 2 : 1, (Rank ?? 4) - 2).Select(axis => (long)axis)];

    /// <summary>How many channels the value at one of the places has, those outside the place's range included.</summary>
    internal int WidthAt(Model model, Place place) =>
        place.At.Range is null ? place.ModuleRange?.Length ?? Channels : (int)FactTable.Of(model.GraphAt(place.At.Graph))[place.At.Value].LastDim!.Value;

    /// <summary>The same site under one of its aliases.</summary>
    public Site Called(string alias) =>
        alias == Name ? this : this with { Name = alias, Aliases = [.. Aliases.Where(other => other != alias).Prepend(Name)] };
}
