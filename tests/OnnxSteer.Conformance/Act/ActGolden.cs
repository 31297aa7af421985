using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Fixtures;
using OnnxSteer.Running;
using OnnxSteer.Tokenizers;

namespace OnnxSteer.Conformance;

/// <summary>Where a map's parameters come from.</summary>
public enum Parameters
{
    /// <summary>Fitted here, on activations captured here.</summary>
    Ours,

    /// <summary>Those of the reference, from its file.</summary>
    Theirs,
}

/// <summary>The reference vectors of activation transport, and what this project makes of the same prompts.</summary>
internal static class ActGolden
{
    public static readonly string[] Sites =
    [
        .. from layer in Enumerable.Range(0, 5)
           from module in new[] { "self_attn.o_proj", "post_attention_layernorm", "mlp.down_proj" }
           select $"model.layers.{layer}.{module}",
    ];

    private static readonly ConcurrentDictionary<(string Export, Pooling Pooling, string Set), Lazy<ActivationSet>> Captures = new();

    public static SafetensorsFile Open(string name) => SafetensorsFile.Open(Folders.InShared("golden", "act", name + ".safetensors"));

    /// <summary>The texts of <c>source</c>, <c>target</c> or <c>test</c>.</summary>
    public static string[] Texts(string set)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Folders.InShared("golden", "act", "prompts.json")));
        return [.. json.RootElement.GetProperty(set).EnumerateArray().Select(text => text.GetString()!)];
    }

    /// <summary>The same, tokenized here by the tokenizer beside an export.</summary>
    public static ImmutableArray<int>[] Prompts(string export, string set)
    {
        var tokenizer = Tokenizer.Load(Exports.FolderOf(export)).WithoutLimits();
        return [.. Texts(set).Select(text => tokenizer.Encode(text).Ids)];
    }

    /// <summary>Activations of the 15 sites, captured here once for each export, pooling and set of prompts.</summary>
    public static ActivationSet Captured(string export, Pooling pooling, string set) =>
        Captures.GetOrAdd((export, pooling, set), key => new Lazy<ActivationSet>(() =>
        {
            var model = Exports.Open(export);
            var table = SiteTable.Of(model);
            var options = new CaptureOptions { Pooling = pooling, Session = Runner.OneThread };
            return new ActivationSet(Capture.Run(model, [.. Sites.Select(table.Find)], Prompts(export, set), options));
        })).Value;

    /// <summary>The map of a set of sites.</summary>
    public static SteeringMap Map(Parameters parameters, string export, IEnumerable<string> sites, string method, string band) =>
        parameters == Parameters.Ours ? Fitted(export, sites, method, Band.Parse(band)) : Stored(sites, method, band);

    /// <summary>The sites of a set's name; of one that ends with <c>-single</c>, the one that the reference chose.</summary>
    public static IEnumerable<string> SitesOf(string set) => set switch
    {
        "postln" => Sites.Where(site => site.EndsWith("post_attention_layernorm", StringComparison.Ordinal)),
        "oproj" => Sites.Where(site => site.EndsWith("o_proj", StringComparison.Ordinal)),
        "downproj" => Sites.Where(site => site.EndsWith("down_proj", StringComparison.Ordinal)),
        "all3" => Sites,
        _ => throw new ArgumentOutOfRangeException(nameof(set), set, "no set of sites"),
    };

    private static SteeringMap Fitted(string export, IEnumerable<string> sites, string method, Band band)
    {
        var wanted = sites.ToHashSet();
        IFitMethod fit = method switch { "linear_ot" => new LinearFit(), "mean_ot" => new MeanFit(), "gaussian_ot" => new GaussianFit(), _ => new AuraFit() };
        ActivationSet Of(string set) => new(Captured(export, fit.DefaultPooling, set).Sites.Where(site => wanted.Contains(site.Site)));
        return Fit.Of(fit, Of("source"), Of("target"), band).Map;
    }

    private static SteeringMap Stored(IEnumerable<string> sites, string method, string band)
    {
        using var file = Open("fit_atonce");
        return new SteeringMap(sites.Select(site => new SiteTransport(site, Stored(file, site, method, band))).ToList());
    }

    private static Transport Stored(SafetensorsFile file, string site, string method, string band)
    {
        float[] Read(string name) => file.ReadSingles($"{method}/{site}/{name}");
        float[] w, b;
        if (method == "linear_ot")
            (w, b) = (Read("w"), Read("b"));
        else if (method == "aura")
            (w, b) = (Read("alpha"), new float[64]);
        else
        {
            var (mu1, mu2, std1, std2) = (Read("mu1"), Read("mu2"), Read("std1"), Read("std2"));
            bool IsDead(int c) => std1[c] <= 1e-4 || std2[c] <= 1e-4;
            w = [.. mu1.Select((_, c) => method == "gaussian_ot" && !IsDead(c) ? (float)((double)std2[c] / std1[c]) : 1)];
            b = [.. mu1.Select((mu, c) => IsDead(c) ? 0 : (float)(mu2[c] - (method == "gaussian_ot" ? (double)std2[c] / std1[c] : 1) * mu))];
        }
        if (band == "q_all")
            return Transport.Of(site, [.. w], [.. b]);
        return Transport.Of(site, [.. w], [.. b],
            [.. file.ReadDoubles($"{method}/{site}/{band}/lo").Select(Support.RoundDown)], [.. file.ReadDoubles($"{method}/{site}/{band}/hi").Select(Support.RoundUp)]);
    }
}
