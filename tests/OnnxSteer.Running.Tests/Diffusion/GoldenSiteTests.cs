using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests.Diffusion;

/// <summary>Sites of denoisers against the reference's tables and the activations of the PyTorch modules they are named after.</summary>
public sealed class GoldenSiteTests
{
    public static TheoryData<string> All => [.. Denoiser.Names];

    [SharedTheory, MemberData(nameof(All))]
    public void Every_site_of_the_reference_is_found_where_the_reference_found_it(string name)
    {
        var denoiser = Denoiser.Of(name);
        Assert.Equal("diffusers", denoiser.Table.Dialect);
        foreach (var row in denoiser.SitesJson.GetProperty("sites").EnumerateArray())
        {
            var site = denoiser.Table.Find(row.GetProperty("site").GetString()!);
            var place = Assert.Single(site.Places);
            Assert.Equal(row.GetProperty("channels").GetInt32(), site.Channels);
            Assert.Equal(row.GetProperty("rank").GetInt32(), site.Rank);
            Assert.Equal(Confidence.Certain, site.Confidence);
            var value = row.GetProperty("value").GetString();
            if (place.At.Value == value)
                Assert.Equal((row.GetProperty("channel_axis").GetInt32(), row.GetProperty("node").GetString()), (site.ChannelAxis < 0 ? site.Rank!.Value - 1 : site.ChannelAxis, place.Node));
            else
                // The table names the copy with channels first; what is steered is what it is copied from.
                Assert.Equal((-1, place.At.Value), (site.ChannelAxis, CopiedFrom(denoiser.Model, value!)));
        }
        foreach (var row in denoiser.SitesJson.GetProperty("not_materialised").EnumerateArray())
            if (denoiser.Table.Sites.FirstOrDefault(site => site.Names.Contains(row.GetProperty("site").GetString())) is { } site)
                Assert.NotEqual(Hook.After, site.Places[0].Hook);
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Every_site_holds_what_its_module_gives_out(string name)
    {
        var denoiser = Denoiser.Of(name);
        var compared = 0;
        foreach (var (site, kind, expected) in Golden(denoiser))
        {
            var known = denoiser.Table.Sites.FirstOrDefault(other => other.Names.Contains(site));
            if (known is null || known.Places[0].Hook == Hook.BeforeBias)
                continue;
            var values = denoiser.Unsteered[known.Name];
            var actual = FirstChannels(known, values);
            if (kind == "mean")
                actual = Means(known, values);
            else if (kind == "cond")
                actual = actual[(actual.Length / 2)..];
            // Means and conditional halves of the trained models were kept in float16.
            var worst = Worst(expected, actual);
            Assert.True(worst <= Math.Max(denoiser.Tolerance, kind == "cond" ? 1e-3 : 0), $"{site} ({kind}): {worst}");
            compared++;
        }
        var output = Worst(ExpectedOutput(denoiser), denoiser.Unsteered[denoiser.Output].Data);
        Assert.True(output <= denoiser.Tolerance, $"the output: {output}");
        Assert.True(compared >= (name.StartsWith("pipelines/", StringComparison.Ordinal) ? 0 : 30), $"only {compared} sites compared");
    }

    [SharedTheory, MemberData(nameof(All))]
    public void Pooled_taps_are_what_pooling_the_whole_gives(string name)
    {
        var denoiser = Denoiser.Of(name);
        var sites = denoiser.Table.Sites.Where(site => site.Places[0].Hook != Hook.BeforeBias).ToList();
        foreach (var pooling in new[] { Pooling.Mean, Pooling.Min, Pooling.Max })
        {
            var (pruned, taps) = SiteTaps.Pooled(denoiser.Model, sites, pooling);
            var pooled = denoiser.Run(pruned, taps.Select(tap => tap.Parts[0].Output));
            foreach (var tap in taps)
            {
                var actual = pooled[tap.Parts[0].Output];
                Assert.Equal([denoiser.Unsteered[tap.Site.Name].Shape[0], tap.Site.Channels], actual.Shape);
                var expected = Pooled(tap.Site, denoiser.Unsteered[tap.Site.Name], pooling);
                var worst = Worst(expected, actual.Data);
                Assert.True(worst <= (pooling == Pooling.Mean ? Math.Min(1e-3, 20 * denoiser.Tolerance) : denoiser.Tolerance), $"{tap.Site.Name}, {pooling}: {worst}");
            }
        }
    }

    private static string? CopiedFrom(Model model, string value)
    {
        while (model.Graph.Producer(value) is { OpType: "Transpose" or "Cast" } copy)
            value = copy.Inputs[0];
        return value;
    }

    private static IEnumerable<(string Site, string Kind, float[] Values)> Golden(Denoiser denoiser)
    {
        if (denoiser.Name.StartsWith("pipelines/", StringComparison.Ordinal))
            yield break;
        var isTiny = denoiser.Name.StartsWith("tiny/", StringComparison.Ordinal);
        using var file = SafetensorsFile.Open(isTiny || denoiser.Name == "shapes32-dit"
            ? Folders.InShared("models", "diffusion", denoiser.Name, "golden.safetensors") : Folders.InShared("models", "diffusion", "shapes32", "golden", "activations.safetensors"));
        foreach (var tensor in file.Tensors)
            if (tensor.Name.Split('.', 2) is [("act" or "mean" or "cond") and var kind, var site])
                yield return (site, kind, file.ReadSingles(tensor.Name));
    }

    private static float[] ExpectedOutput(Denoiser denoiser)
    {
        using var file = SafetensorsFile.Open(denoiser.Name == "shapes32" ? Folders.InShared("models", "diffusion", "shapes32", "golden", "unet_steps.safetensors")
            : Folders.InShared("models", "diffusion", denoiser.Name, "golden.safetensors"));
        return denoiser.Name switch
        {
            "shapes32" => Step(file.ReadSingles("out_sample")),
            "shapes32-dit" => Step(file.ReadSingles("steps.out_hidden_states")),
            var name when name.StartsWith("tiny/", StringComparison.Ordinal) => file.ReadSingles($"out.{denoiser.Output}"),
            var name when name.StartsWith("pipelines/", StringComparison.Ordinal) => file.ReadSingles("main.model_output_0"),
            _ => file.ReadSingles("out_sample"),
        };

        static float[] Step(float[] all) => all[(5 * all.Length / 12)..(6 * all.Length / 12)];
    }

    /// <summary>A feature map with channels first, as PyTorch has it; anything else as it is.</summary>
    internal static float[] FirstChannels(Site site, Values values)
    {
        if (site.Layout != Onnx.Inference.ImageLayout.ChannelsLast)
            return values.Data;
        var (channels, space) = (site.Channels, values.Data.Length / (int)values.Shape[0] / site.Channels);
        return [.. Enumerable.Range(0, values.Data.Length).Select(i => values.Data[i / (space * channels) * space * channels + i % space * channels + i / space % channels])];
    }

    internal static float[] Pooled(Site site, Values values, Pooling pooling)
    {
        var first = FirstChannels(site, values);
        var (rows, channels) = ((int)values.Shape[0], site.Channels);
        var space = first.Length / rows / channels;
        var isFirst = site.Layout != Onnx.Inference.ImageLayout.None;
        IEnumerable<float> Of(int row, int channel) => Enumerable.Range(0, space).Select(at => first[isFirst ? (row * channels + channel) * space + at : (row * space + at) * channels + channel]);
        return [.. from row in Enumerable.Range(0, rows) from channel in Enumerable.Range(0, channels) let all = Of(row, channel)
            select pooling switch { Pooling.Min => all.Min(), Pooling.Max => all.Max(), _ => (float)all.Average(value => (double)value) }];
    }

    private static float[] Means(Site site, Values values) => Pooled(site, values, Pooling.Mean);

    /// <summary>The largest difference, relative to the largest magnitude where that is above 1.</summary>
    private static double Worst(float[] expected, float[] actual) => Exports.Worst(expected, actual) / Math.Max(1, Bits.Largest(expected));
}
