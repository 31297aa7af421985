using System.CommandLine;
using OnnxSteer.Onnx;

namespace OnnxSteer.Cli.Commands;

/// <summary>The options of <c>patch</c> that make a gate.</summary>
internal sealed class GateOptions
{
    private readonly Option<string?> _file = new("--gate")
    {
        Description = "Steer only where the activation at a site projects beyond a threshold on a direction, decided in the graph: a safetensors file with SITE/direction, float32 [channels], and maybe SITE/threshold; or a map, whose SITE/b is the direction.",
    };

    private readonly Option<string?> _site = new("--gate-site") { Description = "The gate's site, where its file has several." };
    private readonly Option<float?> _threshold = Options.Number("--gate-threshold", "What the projection must exceed, in units of the activation (default: the file's SITE/threshold).");
    private readonly Option<string> _pooling = Options.TokenPooling("--gate-pooling", "token: each token decides for itself; else one decision a row, over the real tokens of each call.");

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _file, _site, _threshold, _pooling })
            command.Options.Add(option);
    }

    /// <summary>The gate, or null where none is asked for.</summary>
    public Gate? Of(ParseResult call)
    {
        if (call.GetValue(_file) is not { } file)
            return call.GetValue(_site) is null && call.GetValue(_threshold) is null ? null
                : throw new UsageException("--gate-site and --gate-threshold belong to a gate; name its file with --gate.");
        var direction = Direction.Load(file, call.GetValue(_site));
        return new Gate(direction, call.GetValue(_threshold) ?? direction.Threshold
            ?? throw new OnnxException($"'{file}' holds no '{direction.Site}/threshold'; give one with --gate-threshold, in units of the activation."), call.TokenPooling(_pooling));
    }
}
