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
            foreach (var export in Exports.Names)
                foreach (var name in new[] { "case_a", "case_b", "case_c", "case_d", "case_e" })
                    foreach (var mode in new[] { Mode.Baked, Mode.Live })
                        data.Add(export, name, mode);
            return data;
        }
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Logits_are_those_of_the_reference(string export, string name, Mode mode)
    {
        using var golden = Exports.Steered(export);
        var model = Steer(export, golden, name, mode);
        var expected = golden.ReadSingles($"{name}/logits");
        var worst = Exports.Worst(expected, Exports.Logits(model, Exports.Rows(golden, "input_ids")));
        Assert.True(worst <= 1e-4, $"{worst}");
        Assert.True(Exports.Worst(expected, golden.ReadSingles("logits")) > 0.01, "the case changes nothing");
    }

    [SharedTheory, MemberData(nameof(Cases))]
    public void Greedy_tokens_are_those_of_the_reference(string export, string name, Mode mode)
    {
        using var golden = Exports.Steered(export);
        if (!golden.Contains($"{name}/greedy_ids"))
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
        var model = Exports.Open(export);
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
