using OnnxSteer.Onnx;

namespace OnnxSteer;

/// <summary>How the activations of one prompt's real tokens become one sample, per channel.</summary>
public enum Pooling
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>Their smallest.</summary>
    Min,

    /// <summary>Their largest.</summary>
    Max,

    /// <summary>That of the last real token.</summary>
    Last,
}

/// <summary>Poolings by name: lower case, as on the command line and in files.</summary>
public static class Poolings
{
    /// <summary>The name, as <c>mean</c>.</summary>
    public static string Name(this Pooling pooling) => pooling.ToString().ToLowerInvariant();

    /// <summary>Reads a name.</summary>
    /// <exception cref="OnnxException">There is no such pooling.</exception>
    public static Pooling Parse(string name)
    {
        foreach (var pooling in Enum.GetValues<Pooling>())
            if (pooling.Name() == name)
                return pooling;
        throw new OnnxException($"'{name}' names no pooling; expected "
            + $"{string.Join(", ", Enum.GetValues<Pooling>().Select(Name))}.");
    }
}
