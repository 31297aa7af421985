namespace OnnxSteer.Onnx.Inference;

/// <summary>Where a feature map holds its channels.</summary>
public enum ImageLayout
{
    /// <summary>It is no feature map, or not known to be one.</summary>
    None,

    /// <summary><c>[batch, channels, height, width]</c>, or with more axes of space.</summary>
    ChannelsFirst,

    /// <summary><c>[batch, height, width, channels]</c>.</summary>
    ChannelsLast,
}

/// <summary>What is known of a tensor value without running the model.</summary>
/// <param name="DataType">Element type; undefined where unknown.</param>
/// <param name="Rank">Number of axes, or null where unknown.</param>
/// <param name="LastDim">Size of the last axis, or null where unknown or dynamic.</param>
/// <param name="Layout">
/// Whether the value is a feature map, as convolutions and norms over groups of channels make and read them; of rank 4 at least.
/// </param>
/// <param name="FirstChannels">Size of axis 1 of a feature map with channels first, or null where unknown or dynamic.</param>
public readonly record struct ValueFacts(DataType DataType, int? Rank, long? LastDim, ImageLayout Layout = ImageLayout.None, long? FirstChannels = null)
{
    /// <summary>Nothing is known.</summary>
    public static ValueFacts Unknown { get; }

    /// <summary>The channels' axis: 1 of a feature map with channels first, else -1, the last.</summary>
    public int ChannelAxis => Layout == ImageLayout.ChannelsFirst ? 1 : -1;

    /// <summary>How many channels there are along that axis, or null where unknown or dynamic.</summary>
    public long? Channels => Layout == ImageLayout.ChannelsFirst ? FirstChannels : LastDim;

    /// <summary>These facts, and where they know nothing, others.</summary>
    public ValueFacts Or(ValueFacts other) =>
        new(DataType == DataType.Undefined ? other.DataType : DataType, Rank ?? other.Rank, LastDim ?? other.LastDim,
            Layout == ImageLayout.None ? other.Layout : Layout, FirstChannels ?? other.FirstChannels);
}
