using System.CommandLine;
using OnnxSteer.Onnx;

namespace OnnxSteer.Cli.Commands;

/// <summary>Options that <c>import</c> and <c>export</c> share.</summary>
internal static class ExchangeOptions
{
    public static Option<string?> Format(string otherwise, params ExchangeFormat[] formats)
    {
        string[] names = [.. formats.Select(MapExchange.NameOf)];
        var option = new Option<string?>("--format") { Description = $"One of {string.Join(", ", names)}. {otherwise}" };
        option.AcceptOnlyFromAmong(names);
        return option;
    }

    public static Option<string?> Layers(string what) => new("--layers") { Description = $"{what}, as 5-20: both ends included, counted from 0 (default: all)." };

    public static ExchangeFormat? Parse(string? name) => name is null ? null : Enum.GetValues<ExchangeFormat>().First(format => MapExchange.NameOf(format) == name);

    public static LayerRange? Range(string? text)
    {
        try
        {
            return text is null ? null : LayerRange.Parse(text);
        }
        catch (OnnxException e)
        {
            throw new UsageException($"--layers: {e.Message}");
        }
    }
}
