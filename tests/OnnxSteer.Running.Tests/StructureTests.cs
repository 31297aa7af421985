using System.Text.RegularExpressions;
using OnnxSteer.Fixtures;

namespace OnnxSteer.Running.Tests;

/// <summary>Graphs without names: what the dialects find by name is found by dataflow too.</summary>
public sealed partial class StructureTests
{
    public static TheoryData<string> AllFixtures => Exports.AllFixtures;

    [SharedTheory, MemberData(nameof(AllFixtures))]
    public void Residual_stream_norms_and_projections_are_found_without_names(string export)
    {
        var named = SiteTable.Of(Exports.Open(export));
        var anonymous = Anonymous.Of(Exports.Open(export));
        var table = SiteTable.Of(anonymous.Model);
        Assert.Equal("structure", table.Dialect);
        Assert.Empty(table.Sites.Where(site => site.Confidence != Confidence.Inferred).Select(site => site.Name));
        var equal = Exports.SitesJson(export).GetProperty("sites").EnumerateArray().ToDictionary(row => row.GetProperty("site").GetString()!,
            row => row.TryGetProperty("equal_values", out var values) ? values.EnumerateArray().Select(value => value.ToString()).ToHashSet() : []);
        var (wrong, compared) = (new List<string>(), 0);
        foreach (var site in named.Sites)
            foreach (var name in site.Names)
            {
                if (InLlama(name) is not { } path)
                    continue;
                var expected = site.Places.Select(place => (Graph: place.At.Graph.Split(':')[^1], Value: place.Hook == Hook.Absent ? "" : anonymous[place.At.Value], place.At.Range, place.Hook)).ToList();
                var found = table.Sites.FirstOrDefault(other => other.Names.Contains(path));
                var actual = found?.Places.Select(place => (Graph: place.At.Graph.Split(':')[^1], Value: place.Hook == Hook.Absent ? "" : place.At.Value, place.At.Range, place.Hook)).ToList() ?? [];
                var others = equal.GetValueOrDefault(site.Name, []).Select(value => value).ToHashSet();
                compared++;
                if (!expected.SequenceEqual(actual) && !(actual is [var single] && others.Any(other => anonymous[other] == single.Value)))
                    wrong.Add($"{name} ({path}): expected {string.Join(", ", expected)}, found {string.Join(", ", actual)}");
            }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(compared >= 6 * named.Sites.Count(site => site.Name.EndsWith(".residual_mid", StringComparison.Ordinal)), $"{compared} compared");
    }

    // The words of other architectures for the same places.
    private static string? InLlama(string name)
    {
        if (Head().IsMatch(name))
            return "lm_head";
        if (Place().Match(name) is not { Success: true } match)
            return null;
        var part = match.Groups["part"].Value;
        var word = part switch
        {
            "" or "residual_mid" or "self_attn" or "mlp" or "self_attn.o_proj" or "mlp.down_proj" or "input_layernorm" or "post_attention_layernorm"
                or "pre_feedforward_layernorm" or "post_feedforward_layernorm" => part,
            "ln_1" or "self_attn_layer_norm" => "input_layernorm",
            "ln_2" or "final_layer_norm" => "post_attention_layernorm",
            "attn.c_proj" or "self_attn.out_proj" => "self_attn.o_proj",
            "fc2" or "mlp.c_proj" => "mlp.down_proj",
            _ when part.Contains(".heads.", StringComparison.Ordinal) => part.Replace("attn.heads", "self_attn.heads").Replace("self_self_", "self_"),
            _ => null,
        };
        return word is null ? null : $"model.layers.{match.Groups["layer"].Value}{(word.Length > 0 ? "." : "")}{word}";
    }

    [GeneratedRegex(@"^(model|transformer|model\.decoder)\.(layers|h)\.(?<layer>\d+)(\.(?<part>.+))?$", RegexOptions.ExplicitCapture)]
    private static partial Regex Place();

    [GeneratedRegex("^lm_head$")]
    private static partial Regex Head();
}
