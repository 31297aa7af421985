using System.Collections.Immutable;
using System.Text.Json;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Steered logits and greedy tokens against the same steering by PyTorch hooks.</summary>
public sealed class GoldenSteeringTests
{
    public static TheoryData<string, string, Mode> Cases
    {
        get
        {
            var data = new TheoryData<string, string, Mode>();
            // Quantization moves values across the bounds of case b, which lie in gaps between the float model's.
            foreach (var export in Exports.Fixtures)
                foreach (var name in new[] { "case_a", "case_b", "case_c", "case_d", "case_e" }.Where(name => name != "case_b" || Exports.ToleranceOf(export) is not null))
                    foreach (var mode in new[] { Mode.Baked, Mode.Live })
                        if (Exhaustive.IsOn || Exports.Names.Contains(export) || (name[^1] % 2 == 0) == (mode == Mode.Live))
                            data.Add(export, name, mode);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Logits_are_those_of_the_reference(string export, string name, Mode mode)
    {
        using var golden = Exports.Steered(export);
        var (model, rows) = (Steer(export, golden, name, mode), Exports.Rows(golden, "input_ids"));
        // SmolLM2's golden keeps the last position alone.
        var isWhole = golden.Contains($"{name}/logits");
        float[] Kept(float[] logits) => isWhole ? logits : [.. Enumerable.Range(1, rows.Length).SelectMany(end => logits[(end * logits.Length / rows.Length - logits.Length / rows.Sum(row => row.Length))..(end * logits.Length / rows.Length)])];
        var expected = golden.ReadSingles(isWhole ? $"{name}/logits" : $"{name}/logits_last");
        var unsteered = golden.ReadSingles(isWhole ? "logits" : "logits_last");
        var actual = Kept(Exports.Logits(model, rows));
        Assert.True(Exports.Worst(expected, unsteered) > 0.01, "the case changes nothing");
        var worst = Exports.WorstRow(expected, actual, expected.Length / (isWhole ? rows.Sum(row => row.Length) : rows.Length));
        if (Exports.ToleranceOf(export) is { } tolerance)
            Assert.True(worst <= tolerance, $"{worst}");
        else
        {
            // Of quantized models the change is compared, since the golden is the float model's.
            float[] Change(float[] steered, float[] before) => [.. steered.Zip(before, (a, b) => a - b)];
            var cosine = Exports.Cosine(Change(expected, unsteered), Change(actual, Kept(Exports.Logits(Exports.Open(export), rows))));
            var stated = Exports.SitesJson(export).GetProperty("steer_checks").TryGetProperty(name, out var check) ? check.GetProperty("delta_cosine").GetDouble() - 0.01 : 0.8;
            Assert.True(cosine >= stated, $"the change has cosine {cosine}, expected {stated}");
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Greedy_tokens_are_those_of_the_reference(string export, string name, Mode mode)
    {
        using var golden = Exports.Steered(export);
        // float16 and quantization move logits by more than the gaps that the reference met.
        if (!golden.Contains($"{name}/greedy_ids") || Exports.ToleranceOf(export) is not <= 1e-4)
            return;
        using var decoder = Decoder.Open(Steer(export, golden, name, mode));
        Compare(decoder, golden, $"{name}/greedy_ids");
    }

    [SharedTheory, MemberData(nameof(GoldenActivationTests.All), MemberType = typeof(GoldenActivationTests))]
    public void Unsteered_greedy_tokens_are_those_of_the_reference(string export)
    {
        using var golden = Exports.Steered(export);
        using var decoder = Decoder.Open(Exports.Open(export));
        Compare(decoder, golden, "unsteered/greedy_ids");
    }

    private static void Compare(Decoder decoder, SafetensorsFile golden, string name)
    {
        var options = new GenerationOptions { MaxNewTokens = (int)golden[name].Shape[^1], IgnoreEos = true };
        var completions = decoder.Generate(Exports.Rows(golden, "input_ids"), options);
        Assert.Equal(Exports.Rows(golden, name).Select(row => row.ToArray()), completions.Select(row => row.Ids.ToArray()));
    }

    private static Model Steer(string export, SafetensorsFile golden, string name, Mode mode)
    {
        var model = Exports.Exact(export);
        var strength = golden.Metadata.TryGetValue($"{name}/lambda", out var lambda) ? float.Parse(lambda) : golden.Metadata.TryGetValue($"{name}/coefficient", out var c) ? float.Parse(c) : 1;
        var sites = JsonSerializer.Deserialize<string[]>(golden.Metadata[$"{name}/sites"])!;
        var map = new SteeringMap(sites.Select(site => new SiteTransport(site, Transport(golden, name, site))));
        return Exports.Patch(model, map, mode, strength, name == "case_e" ? Positions.Last : Positions.All);
    }

    private static Transport Transport(SafetensorsFile golden, string name, string site)
    {
        ImmutableArray<float> Read(string part) => [.. golden.ReadSingles($"{name}/{part}/{site}")];
        if (golden.Contains($"{name}/v/{site}"))
            return OnnxSteer.Transport.Of(site, [.. Read("v").Select(_ => 1f)], Read("v"));
        return golden.Contains($"{name}/lo/{site}")
            ? OnnxSteer.Transport.Of(site, Read("w"), Read("b"), Read("lo"), Read("hi"))
            : OnnxSteer.Transport.Of(site, Read("w"), Read("b"));
    }
}
