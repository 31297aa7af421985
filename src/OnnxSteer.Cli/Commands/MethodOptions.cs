using System.CommandLine;

namespace OnnxSteer.Cli.Commands;

/// <summary>The options of <c>fit</c> that choose a method and set it up; each is refused for methods that do not take it.</summary>
internal sealed class MethodOptions
{
    private static readonly Dictionary<string, string> Methods = new()
    {
        ["linear"] = "w*z+b by optimal transport (Linear-AcT)",
        ["mean"] = "a shift by the means (Mean-AcT)",
        ["gaussian"] = "the transport between two Gaussians",
        ["aura"] = "damps the channels that tell the source from the target (AurA)",
        ["det-zero"] = "sets the channels that tell best to the target's mean",
        ["caa"] = "adds c times the difference of means",
        ["actadd"] = "the same of one pair of prompts",
        ["itim"] = "ITI along the difference of means, at the heads that tell best",
        ["itic"] = "ITI along a logistic probe's weights",
        ["pca"] = "adds c times the principal direction of the differences",
    };

    private readonly Option<string> _method = Options.Choice("--method", $"{string.Join("; ", Methods.Select(method => $"{method.Key}: {method.Value}"))}. RePE, EAST and LinEAS are not implemented (LinEAS needs gradients through the model).",
        "linear", [.. Methods.Keys]);
    private readonly Option<float?> _coefficient = Options.Number("--coefficient", "caa, actadd, pca: c, how many times the vector is added (default: 1).");
    private readonly Option<float?> _alpha = Options.Number("--alpha", "itim, itic: how far to go, in standard deviations (default: 15).");
    private readonly Option<int?> _heads = Natural("--heads", "itim, itic: how many of the sites are steered at most (default: 48).");
    private readonly Option<int?> _units = Natural("--units", "det-zero: how many channels of a site are set (default: a twentieth).");

    public IEnumerable<Option> All => [_method, _coefficient, _alpha, _heads, _units];

    /// <summary>The method as the call sets it up.</summary>
    public IFitMethod Read(ParseResult call)
    {
        var name = call.GetRequiredValue(_method);
        var unused = All.Skip(1).Where(option => call.GetResult(option) is { Implicit: false }).ToHashSet();
        T? Take<T>(Option<T?> option) where T : struct
        {
            unused.Remove(option);
            return call.GetValue(option);
        }
        float Number(Option<float?> option, float standard) => Take(option) ?? standard;
        IFitMethod method = name switch
        {
            "linear" => new LinearFit(),
            "mean" => new MeanFit(),
            "gaussian" => new GaussianFit(),
            "aura" => new AuraFit(),
            "det-zero" => new DetZeroFit { Units = Take(_units) },
            "caa" => new CaaFit { Coefficient = Number(_coefficient, 1) },
            "actadd" => new ActAddFit { Coefficient = Number(_coefficient, 1) },
            "pca" => new PcaFit { Coefficient = Number(_coefficient, 1) },
            "itim" => Iti(ItiDirection.MassMean),
            "itic" => Iti(ItiDirection.Probe),
            _ => throw new UsageException($"'{name}' names no method."),
        };
        return unused.FirstOrDefault() is { } option ? throw new UsageException($"{option.Name} is no option of the method '{name}'. {option.Description}") : method;

        ItiFit Iti(ItiDirection direction)
        {
            var standard = new ItiFit(direction);
            return standard with { Alpha = Number(_alpha, standard.Alpha), Heads = Take(_heads) ?? standard.Heads };
        }
    }

    private static Option<int?> Natural(string name, string description)
    {
        var option = new Option<int?>(name) { Description = description };
        option.Validators.Add(result =>
        {
            if (!result.Errors.Any() && result.GetValueOrDefault<int?>() is < 1 and var given)
                result.AddError($"{name} must be at least 1; {given} was given.");
        });
        return option;
    }
}
