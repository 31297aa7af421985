using System.Collections.Immutable;
using OnnxSteer.Fixtures;
using OnnxSteer.Running;

namespace OnnxSteer.Conformance;

/// <summary>
/// Causal fits against the reference's: by its own order, which is that of module registration, and by that of execution. Under
/// a band a value that crosses a bound by rounding flips its mask and shifts every later site, hence the wider tolerance.
/// </summary>
public sealed class ActCausalTests
{
    private static readonly string[] Modules = ["self_attn.o_proj", "mlp.down_proj", "post_attention_layernorm"];

    public static TheoryData<string, string, string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string, string, string>();
            if (!Folders.HasShared)
                return data;
            using var golden = ActGolden.Open("fit_causal");
            foreach (var key in golden.Tensors.Select(tensor => string.Join('/', tensor.Name.Split('/')[..3])).Distinct())
                if (key.Split('/') is [var set, ("linear_ot" or "mean_ot") and var method, var band])
                    foreach (var export in Exports.Names)
                        data.Add(export, set, method, band);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Causal_maps_are_those_of_the_reference(string export, string set, string method, string band)
    {
        var model = Exports.Open(export);
        var table = SiteTable.Of(model);
        var sites = Order(set).Select(table.Find).ToList();
        TokenizedPrompts Prompts(string name) => new([.. ActGolden.Prompts(export, name)], 0);
        var fit = CausalFit.Run(model, sites, method == "linear_ot" ? new LinearFit() : new MeanFit(), Band.Parse(band), Prompts("source"), Prompts("target"),
            new CausalOptions { Capture = new CaptureOptions { Session = Runner.OneThread } });
        using var golden = ActGolden.Open("fit_causal");
        var tolerance = band == "q_all" ? 1e-3 : 1e-2;
        foreach (var site in sites)
        {
            float[] Read(string name) => golden.ReadSingles($"{set}/{method}/{band}/{site.Name}/{name}");
            var transport = fit.Map[site.Name];
            if (method == "linear_ot")
                AssertTransport(site.Name, golden.ReadMatrix($"{set}/{method}/{band}/{site.Name}/pooled_source"), transport, Read("w"), Read("b"), tolerance);
            else
            {
                var (mu1, mu2, std1, std2) = (Read("mu1"), Read("mu2"), Read("std1"), Read("std2"));
                var largest = mu2.Zip(mu1, (b, a) => Math.Abs(b - a)).Max();
                for (var channel = 0; channel < site.Channels; channel++)
                    Assert.InRange(transport.B[channel] - (std1[channel] <= 1e-4 || std2[channel] <= 1e-4 ? 0 : mu2[channel] - mu1[channel]), -tolerance * largest, tolerance * largest);
            }
        }
    }

    // Where a channel hardly varies, w is ill-conditioned and what it does to the samples is not.
    private static void AssertTransport(string site, Matrix samples, Transport actual, float[] w, float[] b, double tolerance)
    {
        for (var channel = 0; channel < w.Length; channel++)
        {
            var column = new float[samples.Rows];
            samples.CopyColumn(channel, column);
            var mapped = column.Select(z => (double)w[channel] * z + b[channel]).ToList();
            var range = Math.Max(mapped.Max() - mapped.Min(), column.Max() - column.Min());
            foreach (var (z, expected) in column.Zip(mapped))
                Assert.True(Math.Abs(actual.W[channel] * (double)z + actual.B[channel] - expected) <= tolerance * range, $"{site}, channel {channel}: {actual.W[channel]} {actual.B[channel]} against {w[channel]} {b[channel]}");
        }
    }

    private static ImmutableArray<string> Order(string set) => set switch
    {
        "all3" => [.. Enumerable.Range(0, 5).SelectMany(layer => Modules.Select(module => $"model.layers.{layer}.{module}"))],
        "all3exec" => [.. ActGolden.SitesOf("all3")],
        _ => [.. ActGolden.SitesOf(set)],
    };
}
