using System.CommandLine;
using System.Globalization;
using OnnxSteer.Onnx;
using OnnxSteer.Onnx.Storage;
using OnnxSteer.Ort;
using OnnxSteer.Running;

namespace OnnxSteer.Cli;

/// <summary>Arguments and options that several commands share.</summary>
internal static class Options
{
    private const string ModelDescription = "A .onnx file, or a folder: the file that its genai_config.json names, else model.onnx, decoder_model.onnx, decoder_model_merged.onnx, else the only one.";

    public static Argument<string> Model() => Argument("MODEL", ModelDescription);

    /// <summary>The model that a file is for, where the file is the argument.</summary>
    public static Option<string> ModelOption() => new("--model") { Description = $"The model that the map is for. {ModelDescription}", Required = true };

    public static Argument<string> Argument(string name, string description)
    {
        var argument = new Argument<string>(name) { Description = description };
        // What looks like an option is taken for the argument where that is missing.
        argument.Validators.Add(result =>
        {
            if (result.Tokens.FirstOrDefault(token => token.Value.StartsWith("--", StringComparison.Ordinal)) is { } option)
                result.AddError($"'{option.Value}' is no option of this command.");
        });
        return argument;
    }

    public static Option<bool> Json() => new("--json") { Description = "Print the result as JSON." };

    public static Option<string> Out(string description) => new("--out") { Description = description, Required = true };

    public static Option<string> Sites() => new("--sites")
    {
        Description = "A regular expression that must match a site's whole name or alias, or value:NAME.",
        Required = true,
    };

    public static Option<string> Pooling() => Choice("--pooling", "How the tokens of a prompt become one sample.", "mean", "mean", "min", "max", "last");

    /// <summary>A pooling, or each token by itself.</summary>
    public static Option<string> TokenPooling(string name, string description) => Choice(name, description, "token", "token", "mean", "min", "max", "last");

    /// <summary>The pooling of <see cref="TokenPooling(string, string)"/>; null for each token by itself.</summary>
    public static Pooling? TokenPooling(this ParseResult call, Option<string> option) => call.GetRequiredValue(option) is "token" ? null : call.Parse<Pooling>(option);

    public static Option<string?> Column() => new("--column") { Description = "The column of a .csv file, or key of a .jsonl row, that holds the text (default: text)." };

    public static Option<int> MaxTokens() => Positive("--max-tokens", "Prompts are cut behind this many tokens; how many were cut is said.", TokenizedPrompts.UsualLimit);

    public static Option<int> Batch(int value) => Positive("--batch", "Prompts in one call.", value);

    public static Option<int> Threads() => Natural("--threads", "Threads inside an operator; 0 lets ONNX Runtime choose.", 0);

    public static Option<string> Provider() => Choice("--provider", "Where models run. cuda and dml need another flavour of ONNX Runtime (OrtFlavor) and are untested: no such device was at hand.", "cpu", "cpu", "cuda", "dml");

    public static Option<bool> Link() => new("--link") { Description = "Hard-link external data instead of copying it. The Python onnx library from 1.21 on then refuses both folders." };

    public static Option<bool> Force(string description) => new("--force") { Description = description };

    public static Option<string> Choice(string name, string description, string standard, params string[] values)
    {
        var option = new Option<string>(name) { Description = $"{description} One of {string.Join(", ", values)}.", DefaultValueFactory = _ => standard };
        option.AcceptOnlyFromAmong(values);
        return option;
    }

    public static Option<int> Positive(string name, string description, int standard) => AtLeast(1, name, description, standard);

    public static Option<int> Natural(string name, string description, int standard) => AtLeast(0, name, description, standard);

    /// <summary>A finite number with a point, whatever the machine's language.</summary>
    public static Option<float?> Number(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = result =>
        {
            if (float.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && float.IsFinite(number))
                return number;
            result.AddError($"{name} takes a finite number, such as 0.5; '{result.Tokens[0].Value}' was given.");
            return null;
        },
    };

    public static SessionOptions Session(this ParseResult call, Option<int> threads, Option<string> provider) => new()
    {
        IntraOpThreads = call.GetValue(threads),
        LogSeverity = LogSeverity.Error,
        ExecutionProviders = call.GetValue(provider) switch
        {
            "cuda" => [ExecutionProvider.Cuda()],
            "dml" => [ExecutionProvider.DirectML()],
            _ => [],
        },
    };

    public static Model OpenModel(this ParseResult call, Argument<string> model) => ModelFile.Open(call.GetRequiredValue(model));

    public static T Parse<T>(this ParseResult call, Option<string> option) where T : struct, Enum => Enum.Parse<T>(call.GetRequiredValue(option), ignoreCase: true);

    private static Option<int> AtLeast(int least, string name, string description, int standard)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => standard };
        option.Validators.Add(result =>
        {
            if (result.Errors.Any() || result.GetValueOrDefault<int>() >= least)
                return;
            result.AddError($"{name} must be at least {least}; {result.GetValueOrDefault<int>()} was given.");
        });
        return option;
    }

    /// <summary>A dial's value: a number, or LABEL=number.</summary>
    public static KeyValuePair<string, float[]> ParseDial(string option, string text, Func<string, string> inputOf)
    {
        var (label, number) = text.LastIndexOf('=') is >= 0 and var at ? (text[..at], text[(at + 1)..]) : ("", text);
        return float.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && float.IsFinite(value)
            ? KeyValuePair.Create(inputOf(label), new[] { value })
            : throw new UsageException($"{option} {text}: '{number}' is no finite number; a number, or LABEL=number, was expected.");
    }
}
