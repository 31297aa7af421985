using System.Globalization;
using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>The reference's maps, written into the graphs of the trained denoisers, give the reference's outputs.</summary>
public sealed class SteeringGoldenTests
{
    // The maps inserted by hand into the same graphs came within 1e-6 and 3e-6.
    private const double Tolerance = 1e-5;

    public static TheoryData<string, string> Unets
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var (i, trait) in new[] { "night", "star", "nostar" }.Index())
                foreach (var (j, method) in new[] { "linear_atonce", "linear_causal", "mean_atonce", "gaussian_atonce", "linear_atonce_q_0_100", "linear_atonce_one_site" }.Index())
                    if (Exhaustive.IsOn || i == j % 3)
                        data.Add(trait, method);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Unets))]
    public void A_steered_unet_gives_what_the_reference_gave(string trait, string method)
    {
        var folder = Folders.InShared("models", "diffusion", "shapes32", "golden", "steering", trait);
        using var steps = SafetensorsFile.Open(Folders.InShared("models", "diffusion", "shapes32", "golden", "unet_steps.safetensors"));
        using var maps = SafetensorsFile.Open(Path.Combine(folder, "maps.safetensors"));
        using var outputs = SafetensorsFile.Open(Path.Combine(folder, "unet_outputs.safetensors"));
        var band = method.EndsWith("q_0_100", StringComparison.Ordinal) || (trait == "nostar" && method is "linear_atonce" or "linear_causal") ? "q_0_100" : "q_all";
        string[] sites = method.EndsWith("one_site", StringComparison.Ordinal) ? ["mid_block.attentions.0.norm"] : [.. Denoiser.Of("shapes32").Table.Matching(".*norm.*").Select(site => site.Name)];
        Assert.Equal(method.EndsWith("one_site", StringComparison.Ordinal) ? 1 : 33, sites.Length);
        Check("shapes32", Map(maps, "", sites, method, band), outputs, "", method, step => Denoiser.Steps(steps, "", step, "sample", repeatsTimestep: false));
    }

    public static TheoryData<string, string> Transformers
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var (i, set) in new[] { "blocks_text", "norm1_text" }.Index())
                foreach (var (j, method) in new[] { "linear_atonce", "linear_causal", "mean_atonce", "linear_atonce_q_0_100", "linear_atonce_one_site" }.Index())
                    if (Exhaustive.IsOn || i == j % 2)
                        data.Add(set, method);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Transformers))]
    public void A_steered_transformer_gives_what_the_reference_gave(string set, string method)
    {
        var folder = Folders.InShared("models", "diffusion", "shapes32-dit");
        using var steps = SafetensorsFile.Open(Path.Combine(folder, "golden.safetensors"));
        using var maps = SafetensorsFile.Open(Path.Combine(folder, "steering", "night", "maps.safetensors"));
        using var outputs = SafetensorsFile.Open(Path.Combine(folder, "steering", "night", "transformer_outputs.safetensors"));
        using var trait = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "steering", "night", "case.json")));
        string[] sites = [.. trait.RootElement.GetProperty("site_sets").GetProperty(set).EnumerateArray().Select(site => site.GetString()!)];
        if (method.EndsWith("one_site", StringComparison.Ordinal))
            sites = [sites[sites.Length / 2]];
        Check("shapes32-dit", Map(maps, $"{set}.", sites, method, method.EndsWith("q_0_100", StringComparison.Ordinal) ? "q_0_100" : "q_all"), outputs, $"{set}.", method,
            step => Denoiser.Steps(steps, "steps.", step, "hidden_states", repeatsTimestep: true));
    }

    private static void Check(string name, SteeringMap map, SafetensorsFile outputs, string prefix, string method, Func<int, Dictionary<string, (Array, long[])>> inputsOf)
    {
        var denoiser = Denoiser.Of(name);
        using var live = Sessions.Open(Denoiser.Patch(denoiser.Model, map, Mode.Live, 0), Runner.OneThread);
        var compared = 0;
        foreach (var tensor in outputs.Tensors)
        {
            if (!tensor.Name.StartsWith($"{prefix}step", StringComparison.Ordinal) || tensor.Name[(prefix.Length + 4)..].Split('.', 3) is not [var step, var by, var strength] || by != method)
                continue;
            var at = float.Parse(strength, CultureInfo.InvariantCulture);
            var inputs = inputsOf(int.Parse(step, CultureInfo.InvariantCulture));
            var expected = outputs.ReadSingles(tensor.Name);
            using var baked = Sessions.Open(Denoiser.Patch(denoiser.Model, map, Mode.Baked, at), Runner.OneThread);
            foreach (var (session, dials) in new[] { (baked, null), (live, Exports.Dial(at)) })
            {
                var worst = Exports.Worst(expected, Denoiser.Run(session, inputs, [denoiser.Output], dials)[denoiser.Output].Data);
                Assert.True(worst <= Tolerance, $"{tensor.Name}, {(dials is null ? "baked" : "live")}: {worst}");
            }
            compared++;
        }
        Assert.True(compared > 0);
    }

    private static SteeringMap Map(SafetensorsFile maps, string prefix, IEnumerable<string> sites, string method, string band)
    {
        var fit = method.Contains("causal", StringComparison.Ordinal) ? "causal" : "atonce";
        var kind = method.Split('_')[0];
        return new SteeringMap([.. sites.Select(site => new SiteTransport(site, Transport(site)))], new Provenance(Method: kind));

        Transport Transport(string site)
        {
            float[] Read(string what) => maps.ReadSingles($"{prefix}{fit}.{site}.{what}");
            var (w, b) = kind switch
            {
                "linear" => (Read("w"), Read("b")),
                "mean" => Affine(Read, isMean: true),
                _ => Affine(Read, isMean: false),
            };
            return band == "q_all" ? OnnxSteer.Transport.Of(site, [.. w], [.. b]) : OnnxSteer.Transport.Of(site, [.. w], [.. b], [.. Read($"{band}.lo")], [.. Read($"{band}.hi")]);
        }
    }

    private static (float[] W, float[] B) Affine(Func<string, float[]> read, bool isMean)
    {
        var (mu1, mu2, std1, std2) = (read("mu1"), read("mu2"), read("std1"), read("std2"));
        bool IsDead(int c) => std1[c] <= 1e-4 || std2[c] <= 1e-4;
        double W(int c) => isMean || IsDead(c) ? 1 : (double)std2[c] / std1[c];
        return ([.. mu1.Select((_, c) => (float)W(c))], [.. mu1.Select((mu, c) => IsDead(c) ? 0 : (float)(mu2[c] - W(c) * mu))]);
    }
}
